//! Events between regions: what is invalidated in one is removed in the others, through crashes and absences.

#[path = "bus/arriving.rs"]
mod arriving;
#[path = "bus/away.rs"]
mod away;
#[path = "bus/crashes.rs"]
mod crashes;
#[path = "bus/lost.rs"]
mod lost;
#[path = "bus/sources.rs"]
mod sources;
#[path = "bus/world.rs"]
mod world;
