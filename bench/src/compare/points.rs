//! The points at which servers are compared.

use std::fmt;

use crate::load::Mode;

/// One point: what the load generator is told to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Point {
    pub(super) mode: Mode,
    size: usize,
    connections: usize,
    in_flight: usize,
}

impl Point {
    const fn echo(size: usize, connections: usize, in_flight: usize) -> Self {
        Self { mode: Mode::Echo, size, connections, in_flight }
    }

    const fn other(mode: Mode, size: usize, connections: usize, in_flight: usize) -> Self {
        Self { mode, size, connections, in_flight }
    }

    /// Returns the flags of the load generator.
    pub(super) fn arguments(&self) -> Vec<String> {
        let Self { mode, size, connections, in_flight } = self;
        let flags = format!(
            "--mode {mode} --size {size} --connections {connections} --in-flight {in_flight}"
        );
        flags.split(' ').map(str::to_owned).collect()
    }

    /// Returns which figure of a run is compared.
    pub(super) fn figure(&self) -> &'static str {
        match self.mode {
            Mode::Idle => "private bytes",
            Mode::Broadcast | Mode::Echo | Mode::Handshake => "cpu ns",
        }
    }

    /// Returns whether all servers are measured here, or only those that are measured everywhere.
    pub(super) fn is_for_all(&self) -> bool {
        self.mode != Mode::Echo || QUICK.contains(self)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, size, connections, in_flight } = self;
        match mode {
            Mode::Echo => write!(out, "{}, {connections}, {in_flight}", Bytes(*size)),
            Mode::Broadcast => {
                write!(out, "a delivery of {} to {connections}, {in_flight}", Bytes(*size))
            }
            Mode::Handshake => {
                write!(out, "a connection opened and closed, {connections} together")
            }
            Mode::Idle => write!(out, "bytes of an idle connection, of {connections}"),
        }
    }
}

/// Returns the points of a plan.
///
/// # Errors
/// There is no such plan.
pub(super) fn named(plan: &str) -> Result<Vec<Point>, String> {
    match plan {
        "full" => Ok([QUICK, OTHERS, &rest()].concat()),
        "others" => Ok(OTHERS.to_vec()),
        "quick" => Ok([QUICK, OTHERS].concat()),
        _ => Err(format!("--points {plan}: quick, full or others")),
    }
}

/// Returns the points of the grid that are not among the quick ones.
fn rest() -> Vec<Point> {
    let mut points = Vec::new();
    for size in [16, 125, 1 << 10, 16 << 10, 1 << 20] {
        for connections in [1, 64, 512, 5_000] {
            let both = [1, 16].map(|in_flight| Point::echo(size, connections, in_flight));
            // A server that queues the answers would need gigabytes.
            let fits = size < 1 << 20 || connections <= 64;
            points.extend(both.into_iter().filter(|point| fits && !QUICK.contains(point)));
        }
    }
    points
}

struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..1_024 => write!(out, "{bytes} B"),
            bytes @ ..0x10_0000 => write!(out, "{} KiB", bytes >> 10),
            bytes => write!(out, "{} MiB", bytes >> 20),
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
    Point::other(Mode::Handshake, 0, 64, 1),
    Point::other(Mode::Idle, 16, 10_000, 1),
    Point::other(Mode::Broadcast, 125, 1_000, 1),
    Point::other(Mode::Broadcast, 125, 1_000, 16),
];
