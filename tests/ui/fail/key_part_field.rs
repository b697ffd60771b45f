//! A field that has no one text form.

use cache_runtime::cached;

struct Place {
    latitude: f64,
}

#[cached(key = "near:<place.latitude>")]
async fn near(place: &Place) -> u64 {
    place.latitude as u64
}

fn main() {}
