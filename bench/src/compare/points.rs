//! The points at which servers are compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::load::{Data, Mode};

/// One point: what the load generator is told to do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Point {
    pub(super) mode: Mode,
    pub(super) data: Data,
    pub(super) size: usize,
    pub(super) connections: usize,
    #[serde(rename = "in flight")]
    pub(super) in_flight: usize,
}

/// What a point shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Group {
    Echo,
    Deflate,
    Broadcast,
    Handshake,
    Idle,
}

impl Point {
    const fn echo(size: usize, connections: usize, in_flight: usize) -> Self {
        Self { mode: Mode::Echo, data: Data::Binary, size, connections, in_flight }
    }

    const fn deflate(in_flight: usize) -> Self {
        let data = Data::Deflated;
        Self { mode: Mode::Echo, data, size: 1 << 10, connections: 64, in_flight }
    }

    const fn broadcast(connections: usize, in_flight: usize) -> Self {
        Self { mode: Mode::Broadcast, data: Data::Binary, size: 125, connections, in_flight }
    }

    const fn handshake(connections: usize) -> Self {
        Self { mode: Mode::Handshake, data: Data::Binary, size: 0, connections, in_flight: 1 }
    }

    const fn idle(connections: usize) -> Self {
        Self { mode: Mode::Idle, data: Data::Binary, size: 16, connections, in_flight: 1 }
    }

    /// Returns the flags of the load generator.
    pub(super) fn arguments(&self) -> Vec<String> {
        let Self { mode, data, size, connections, in_flight } = self;
        let flags = format!(
            "--mode {mode} --data {data} --size {size} --connections {connections} --in-flight {in_flight}"
        );
        flags.split(' ').map(str::to_owned).collect()
    }

    pub(super) fn group(&self) -> Group {
        match (self.mode, self.data) {
            (Mode::Broadcast, _) => Group::Broadcast,
            (Mode::Echo, Data::Deflated) => Group::Deflate,
            (Mode::Echo, _) => Group::Echo,
            (Mode::Handshake, _) => Group::Handshake,
            (Mode::Idle, _) => Group::Idle,
        }
    }

    /// Returns which figure of a run is compared.
    pub(super) fn figure(&self) -> &'static str {
        if self.mode == Mode::Idle { "private bytes" } else { "cpu ns" }
    }

    /// Returns whether messages queue here or connections are many: where system calls and memory are won or lost.
    pub(super) fn is_crowded(&self) -> bool {
        self.in_flight >= 16 || self.connections >= 512
    }

    /// Returns whether it is one of the few that a chart shows.
    pub(super) fn is_quick(&self) -> bool {
        self.mode != Mode::Echo || self.data == Data::Deflated || QUICK.contains(self)
    }

    /// Returns how many times longer than elsewhere its window is: where much is on the way, messages come to an end in
    /// waves, of which the window should hold several.
    pub(super) fn stretch(&self) -> f64 {
        if self.on_the_way() > MUCH_ON_THE_WAY { 3.0 } else { 1.0 }
    }

    fn fits(&self) -> bool {
        self.on_the_way() <= MOST_ON_THE_WAY
    }

    fn on_the_way(&self) -> usize {
        self.size * self.connections * self.in_flight
    }
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, connections, in_flight, .. } = self;
        let size = Bytes(*size);
        match self.group() {
            Group::Echo => write!(out, "{size}, {connections}, {in_flight}"),
            Group::Deflate => write!(out, "{size} of JSON compressed, {connections}, {in_flight}"),
            Group::Broadcast => {
                write!(out, "a delivery of {size} to {connections}, {in_flight} at once")
            }
            Group::Handshake => {
                write!(out, "a connection opened and closed, {connections} together")
            }
            Group::Idle => write!(out, "bytes of an idle connection, of {connections}"),
        }
    }
}

/// Returns the points of a plan; `descriptors` is how many a process may have.
///
/// # Errors
/// There is no such plan.
pub(super) fn named(plan: &str, descriptors: u64) -> Result<Vec<Point>, String> {
    let echoes = match plan {
        "must" => grid().into_iter().filter(Point::fits).collect(),
        "quick" => QUICK.to_vec(),
        _ => return Err(format!("--points {plan}: must or quick")),
    };
    let idle = Point::idle(most_idle(descriptors));
    let mut points = [echoes, OTHERS.to_vec()].concat();
    points.extend(Some(idle).filter(|idle| !OTHERS.contains(idle)));
    Ok(points)
}

/// Returns the points of the grid that are left out, since more would be on its way than fits into memory.
pub(super) fn left_out() -> Vec<Point> {
    grid().into_iter().filter(|point| !point.fits()).collect()
}

/// Returns how many idle connections there can be, a server having a descriptor for each and some for itself.
fn most_idle(descriptors: u64) -> usize {
    let most = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(OWN_DESCRIPTORS);
    most.clamp(1, IDLE_WANTED)
}

fn grid() -> Vec<Point> {
    let mut points = Vec::new();
    for size in [16, 125, 1 << 10, 16 << 10, 1 << 20] {
        for connections in [1, 64, 512, 5_000] {
            points.extend([1, 16].map(|in_flight| Point::echo(size, connections, in_flight)));
        }
    }
    points
}

/// A number of bytes, in the largest unit that it fills.
pub(super) struct Bytes(pub(super) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..1_024 => write!(out, "{bytes} B"),
            bytes @ ..0x10_0000 => write!(out, "{} KiB", bytes >> 10),
            bytes @ ..0x4000_0000 => write!(out, "{} MiB", bytes >> 20),
            bytes => write!(out, "{} GiB", bytes >> 30),
        }
    }
}

const QUICK: &[Point] = &[
    Point::echo(16, 64, 1),
    Point::echo(16, 64, 16),
    Point::echo(1 << 10, 64, 16),
    Point::echo(16, 5_000, 1),
    Point::echo(16 << 10, 64, 1),
    Point::echo(1 << 20, 64, 1),
];

const OTHERS: &[Point] = &[
    Point::deflate(1),
    Point::deflate(16),
    Point::broadcast(1_000, 1),
    Point::broadcast(1_000, 10),
    Point::broadcast(10_000, 1),
    Point::broadcast(10_000, 10),
    Point::handshake(64),
    Point::idle(IDLE_USUAL),
];

/// How many idle connections every system should grant.
pub(super) const IDLE_USUAL: usize = 10_000;
/// How many are wanted beside these.
pub(super) const IDLE_WANTED: usize = 50_000;
const OWN_DESCRIPTORS: usize = 500;
const MUCH_ON_THE_WAY: usize = 256 << 20;
/// Servers and the kernel may hold each byte several times.
pub(super) const MOST_ON_THE_WAY: usize = 2 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_of_the_grid_is_measured_or_said_to_be_left_out() {
        let points = named("must", 1 << 20).unwrap();
        let echoes = points.iter().filter(|point| point.group() == Group::Echo).count();
        let left: Vec<String> = left_out().iter().map(Point::to_string).collect();
        assert_eq!(echoes + left.len(), 40);
        assert_eq!(left, ["1 MiB, 512, 16", "1 MiB, 5000, 1", "1 MiB, 5000, 16"]);
    }

    #[test]
    fn windows_are_longer_where_messages_end_in_waves() {
        let longer: Vec<String> = grid()
            .iter()
            .filter(|point| point.fits() && point.stretch() > 1.0)
            .map(Point::to_string)
            .collect();
        assert_eq!(longer, ["16 KiB, 5000, 16", "1 MiB, 64, 16", "1 MiB, 512, 1"]);
    }

    #[test]
    fn idle_connections_are_as_many_as_descriptors_allow() {
        assert_eq!([1 << 20, 20_000, 100].map(most_idle), [50_000, 19_500, 1]);
        let last = named("quick", 20_000).unwrap().pop().unwrap();
        assert_eq!(last.to_string(), "bytes of an idle connection, of 19500");
    }
}
