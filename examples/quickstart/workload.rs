//! Which products are asked for, in which order: recorded, or generated.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use lzma_rust2::XzReader;

use crate::args::Args;
use crate::failure::Failure;

/// Without a trace: how many products, how often they are asked for, and how unevenly.
const PRODUCTS: u32 = 10_000;
const CALLS: usize = 500_000;
/// Zipf's exponent: the product of rank `r` is asked for in proportion to `1 / r^0.99`. As in YCSB.
const SKEW: f64 = 0.99;

#[derive(Debug)]
pub(crate) struct Workload {
    /// What it is, for the report.
    pub(crate) name: String,
    /// One product an access, numbered from 0.
    pub(crate) accesses: Vec<u32>,
    pub(crate) products: u32,
}

impl Workload {
    pub(crate) fn new(args: &Args) -> Result<Self, Failure> {
        match &args.trace {
            Some(path) => Self::recorded(path, args.calls).map_err(|error| Failure::Trace {
                file: path.display().to_string(),
                error,
            }),
            None => Ok(Self::generated(args.calls.unwrap_or(CALLS))),
        }
    }

    fn generated(calls: usize) -> Self {
        let mut sum = 0.0;
        let cumulated: Vec<f64> = (1..=PRODUCTS)
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
            name: format!("generated, Zipf {SKEW} over {PRODUCTS} products"),
            accesses,
            products: PRODUCTS,
        }
    }

    /// Reads a trace. Its keys become products in the order in which they first appear.
    fn recorded(file: &Path, calls: Option<usize>) -> io::Result<Self> {
        let bytes = read_trace(file)?;
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

fn read_trace(file: &Path) -> io::Result<Vec<u8>> {
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

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    /// From 0 to just below 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
