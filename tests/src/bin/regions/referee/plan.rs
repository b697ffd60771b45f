//! Which faults, and in which order: the seed says it all.

use std::time::Duration;

use fastrand::Rng;

use crate::arguments::{Arguments, Without};

/// How many regions there are, and processes in each.
pub(super) const REGIONS: [&str; 2] = ["east", "west"];
pub(super) const MEMBERS: usize = 2;

/// Writes for each fault, about: a plan of more writes has more faults.
const WRITES: u64 = 5_000;

/// What happens. Regions and members are told by their place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// The server of a region is killed, and back after this time with all that it had.
    KillStore(usize, Duration),
    /// The same, and it has lost everything.
    LoseStore(usize, Duration),
    KillMember(usize, usize),
    /// The server of a region is killed, so that its processes have events that they cannot carry out; then they are too. It comes back with all that it had.
    KillHolders(usize),
    /// The bus is stopped for so long.
    StopBus(Duration),
    /// The bus is killed, and back after this time with all that it had.
    KillBus(Duration),
    /// The bus loses everything while a region has not read all.
    LoseBus(usize),
    /// A region's processes are stopped, until the bus has given the region up.
    OutlastBus(usize),
}

impl Fault {
    /// Whether it can show that a mechanism is missing; of a run that lacks none, whether it is part of it.
    fn is_for(&self, without: Without) -> bool {
        let of_holders = matches!(self, Self::KillHolders(_));
        let of_losses = matches!(self, Self::LoseBus(_) | Self::OutlastBus(_));
        !without.any()
            || (of_holders && (without.waiting || without.takeover))
            || (of_losses && without.flush)
    }
}

/// The faults of a run.
#[derive(Debug)]
pub(super) struct Plan {
    faults: Vec<Fault>,
}

impl Plan {
    pub(super) fn new(arguments: &Arguments) -> Self {
        let mut random = Rng::with_seed(arguments.seed);
        let mut faults = Vec::new();
        // What a run without a mechanism is to show depends on who reads what when: more than one chance.
        let least = if arguments.without.any() { 4 } else { 1 };
        let many = usize::try_from(arguments.writes / WRITES).unwrap_or(usize::MAX);
        while faults.len() < many.max(least) {
            let mut round = round(&mut random, arguments.away);
            round.retain(|fault| fault.is_for(arguments.without));
            faults.extend(round);
        }
        Self { faults }
    }

    pub(super) fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

/// One fault of each sort, so that few writes too have all of them.
fn round(random: &mut Rng, away: u64) -> Vec<Fault> {
    let away = Duration::from_secs(away);
    let mut region = || random.usize(..REGIONS.len());
    let (one, two, three, four, five, six) =
        (region(), region(), region(), region(), region(), region());
    let short = Duration::from_millis(random.u64(100..600));
    let mut faults = vec![
        Fault::KillStore(one, short),
        Fault::LoseStore(two, short),
        Fault::KillMember(three, random.usize(..MEMBERS)),
        Fault::KillHolders(four),
        Fault::StopBus(away),
        Fault::KillBus(short),
        Fault::LoseBus(five),
        Fault::OutlastBus(six),
    ];
    random.shuffle(&mut faults);
    faults
}
