//! What the drivers share (`crash`, `regions`, `histories`): programs that start servers and members, which are the program itself in another role, do to both
//! what happens to servers and processes, and judge what came of it.

mod arguments;
mod handle;
mod head;
mod line;
mod member;
mod program;

pub use arguments::{Asked, number};
pub use handle::{Member, Trouble};
pub use head::{Head, count};
pub use line::Line;
pub use member::{Role, orders, say};
pub use program::{Outcome, Program};
