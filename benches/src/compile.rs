//! `compile`: what an annotation costs `cargo check`, over the same function without it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::report::{OURS, Over, Report, progress};

const FUNCTIONS: usize = 100;
const ROUNDS: usize = 9;

/// A crate of 100 functions, all alike but for what stands before them.
struct Subject {
    name: &'static str,
    dependencies: &'static str,
    attribute: fn(usize) -> String,
}

const PLAIN: Subject = Subject {
    name: "plain",
    dependencies: "",
    attribute: |_| String::new(),
};

const SUBJECTS: [Subject; 3] = [
    Subject {
        name: OURS,
        dependencies: "cache-runtime = { path = \"OURS\" }",
        attribute: |number| {
            format!("#[cache_runtime::cached(key = \"user-{number}:<id>\", ttl = 300)]")
        },
    },
    Subject {
        name: "cached",
        dependencies: "cached = { version = \"4.1\", features = [\"async\"] }",
        attribute: |number| {
            format!(
                "#[cached::macros::cached(max_size = 1000, ttl_secs = 300, key = \"String\", convert = {{ format!(\"user-{number}:{{id}}\") }})]"
            )
        },
    },
    Subject {
        name: "hitbox",
        dependencies: "hitbox = \"0.2\"\nhitbox-fn = { version = \"0.2\", features = [\"derive\"] }",
        attribute: |number| format!("#[hitbox_fn::cached(prefix = \"user-{number}\")]"),
    },
];

pub(crate) fn run() -> Report {
    let mut report = Report::new("compile");
    let workspace = Workspace::write();
    for subject in [&PLAIN].into_iter().chain(&SUBJECTS) {
        progress(&format!("dependencies of {}", subject.name));
        workspace.check(subject.name);
    }
    for round in 1..=ROUNDS {
        progress(&format!("round {round} of {ROUNDS}"));
        let plain = workspace.check(PLAIN.name);
        for subject in &SUBJECTS {
            let more = workspace.check(subject.name).as_secs_f64() - plain.as_secs_f64();
            let each = more * 1_000.0 / FUNCTIONS as f64;
            report.add("check", subject.name, "ms/function", Over::Median, each);
        }
    }
    progress("");
    report
}

/// A scratch workspace below the target folder, which keeps the built dependencies from run to run.
#[derive(Debug)]
struct Workspace {
    folder: PathBuf,
}

impl Workspace {
    fn write() -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("benches are in the project's folder");
        let folder = project.join("target/benches-compile");
        let mut members = Vec::new();
        for subject in [&PLAIN].into_iter().chain(&SUBJECTS) {
            let package = folder.join(subject.name);
            members.push(format!("\"{}\"", subject.name));
            let runtime = project.join("cache-runtime").display().to_string();
            write(
                &package.join("Cargo.toml"),
                &manifest(subject).replace("OURS", &runtime),
            );
            write(&package.join("src/lib.rs"), &source(subject));
        }
        let members = members.join(", ");
        write(
            &folder.join("Cargo.toml"),
            &format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n"),
        );
        // The versions that are in use here, so that nothing has to be fetched.
        write(
            &folder.join("Cargo.lock"),
            &fs::read_to_string(project.join("Cargo.lock")).expect("a lock file"),
        );
        Self { folder }
    }

    /// How long `cargo check` of a touched crate takes.
    fn check(&self, subject: &str) -> Duration {
        let source = self.folder.join(subject).join("src/lib.rs");
        write(
            &source,
            &fs::read_to_string(&source).expect("it was written"),
        );
        let began = Instant::now();
        let output = Command::new(env!("CARGO"))
            .args([
                "check",
                "--offline",
                "--quiet",
                "--package",
                &format!("check-{subject}"),
            ])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            // All of the work, as a change to a type that every function uses makes for it.
            .env("CARGO_INCREMENTAL", "0")
            // The compiler that belongs to this cargo: rustup would take one that a dependency's own folder asks for.
            .env("RUSTC", Path::new(env!("CARGO")).with_file_name("rustc"))
            .output()
            .expect("cargo runs");
        let took = began.elapsed();
        assert!(
            output.status.success(),
            "{subject} does not compile:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        took
    }
}

fn manifest(subject: &Subject) -> String {
    format!(
        "[package]\nname = \"check-{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nserde = {{ version = \"1\", features = [\"derive\"] }}\n{}\n",
        subject.name, subject.dependencies
    )
}

fn source(subject: &Subject) -> String {
    let derive = match subject.name {
        "hitbox" => {
            "#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, hitbox_fn::CacheableResponse)]"
        }
        _ => "#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]",
    };
    let mut source =
        format!("{derive}\npub struct User {{\n    pub id: u64,\n    pub name: String,\n}}\n");
    for number in 0..FUNCTIONS {
        let attribute = (subject.attribute)(number);
        let _ = write!(
            source,
            "\n{attribute}\npub async fn load_{number}(id: u64) -> User {{\n    \
             let name = format!(\"user {{id}} of {number}\");\n    User {{ id, name }}\n}}\n"
        );
    }
    source
}

fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("a file is in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .expect("the target folder is writable");
}
