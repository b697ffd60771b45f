//! What is asked for, in which order: recorded, or generated.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use lzma_rust2::XzReader;

/// Zipf's exponent: the thing of rank `r` is asked for in proportion to `1 / r^0.99`. As in YCSB.
const SKEW: f64 = 0.99;

#[derive(Debug)]
pub(crate) struct Trace {
    /// What it is, for the report.
    pub(crate) name: String,
    /// One product an access, numbered from 0.
    pub(crate) accesses: Vec<u32>,
    pub(crate) products: u32,
}

impl Trace {
    pub(crate) fn generated(products: u32, calls: usize) -> Self {
        let mut sum = 0.0;
        let cumulated: Vec<f64> = (1..=products)
            .map(|rank| {
                sum += f64::from(rank).powf(-SKEW);
                sum
            })
            .collect();
        let mut random = Random::new(1);
        let accesses = (0..calls)
            .map(|_| {
                let drawn = random.fraction() * sum;
                cumulated
                    .partition_point(|&upto| upto <= drawn)
                    .min(cumulated.len() - 1) as u32
            })
            .collect();
        Self {
            name: format!("generated, Zipf {SKEW} over {products} products"),
            accesses,
            products,
        }
    }

    /// Reads a trace, or its first calls. Its keys become products in the order in which they first appear.
    pub(crate) fn recorded(file: &Path, calls: Option<usize>) -> io::Result<Self> {
        let bytes = read(file)?;
        let (keys, rest) = bytes.as_chunks::<4>();
        if keys.is_empty() || !rest.is_empty() {
            let message = format!("{} bytes are not a list of 32-bit keys", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut products: HashMap<u32, u32> = HashMap::new();
        let accesses = keys
            .iter()
            .take(calls.unwrap_or(usize::MAX))
            .map(|key| {
                let next = products.len() as u32;
                *products.entry(u32::from_be_bytes(*key)).or_insert(next)
            })
            .collect();
        let name = file
            .file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy();
        let products = products.len() as u32;
        Ok(Self {
            name: format!("recorded, {name}, {products} products"),
            accesses,
            products,
        })
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::read(file)?;
    if file.extension().is_none_or(|extension| extension != "xz") {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    XzReader::new(&bytes[..], true).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// SplitMix64: small, and good enough to draw a workload that is the same in every run.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to just below 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
