//! The table of all series: their names, which never change, what they mean, and where they are
//! read.

use super::reading::resident_bytes;
use super::text::Samples;
use super::{OTHER, POLICIES, Reading, Transport};

/// A series, and how it is read.
#[derive(Clone, Copy)]
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// What its numbers do.
    pub kind: Kind,
    /// What its samples are told apart by, if they are several.
    pub label: Option<&'static str>,
    /// What it tells.
    pub help: &'static str,
    pub(super) read: fn(&Reading<'_>, &mut Samples<'_>),
}

/// What the numbers of a series do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow, from 0 at the start.
    Counter,
    /// They come and go.
    Gauge,
    /// They tell how often something took how long.
    Histogram,
}

impl Kind {
    /// Returns its name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Series").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns the table, in the order in which it is told.
pub fn series() -> &'static [Series] {
    SERIES
}

const SERIES: &[Series] = &[
    gauge("sockeye_build_info", Some("version"), "1, under the version that runs", |_, out| {
        out.labelled("version", env!("CARGO_PKG_VERSION"), 1);
    }),
    gauge(
        "sockeye_start_time_seconds",
        None,
        "When the server started, in seconds since 1970",
        |of, out| {
            out.one(of.started().as_secs_f64());
        },
    ),
    gauge("sockeye_rss_bytes", None, "Memory that the process has in use", |_, out| {
        out.one(resident_bytes());
    }),
    gauge(
        "sockeye_draining",
        None,
        "Whether the server takes leave of its connections: 1 or 0",
        |of, out| {
            out.one(u8::from(of.app.is_draining()));
        },
    ),
    gauge(
        "sockeye_insecure_mode",
        None,
        "Whether a setting makes the server less safe: 1 or 0",
        |of, out| {
            out.one(u8::from(!of.app.config().warnings().is_empty()));
        },
    ),
    gauge("sockeye_connections", TRANSPORT, "Clients that are connected", |of, out| {
        for transport in Transport::LASTING {
            let count = of.metrics.connections(transport).get();
            out.labelled("transport", transport.name(), count);
        }
    }),
    counter("sockeye_handshakes_total", None, "WebSockets that were opened", |of, out| {
        out.one(of.metrics.handshakes.get());
    }),
    counter(
        "sockeye_refused_total",
        Some("code"),
        "Requests that were refused, by the name of the error",
        {
            |of, out| {
                for (code, count) in of.metrics.refused.list() {
                    out.labelled("code", code, count);
                }
            }
        },
    ),
    counter(
        "sockeye_closes_total",
        Some("code"),
        "WebSockets that ended, by close code",
        |of, out| {
            for (code, count) in of.metrics.closes.list() {
                match code {
                    OTHER => out.labelled("code", "other", count),
                    code => out.labelled("code", code, count),
                }
            }
        },
    ),
    counter(
        "sockeye_handler_panics_total",
        None,
        "Handlers of connections that panicked",
        |of, out| {
            out.one(of.metrics.panics.get());
        },
    ),
    counter(
        "sockeye_messages_in_total",
        TRANSPORT,
        "Messages that came, commands too",
        |of, out| {
            each_transport(of, out, |[count, _, _, _]| count);
        },
    ),
    counter(
        "sockeye_messages_out_total",
        TRANSPORT,
        "Messages that were sent, answers too",
        |of, out| {
            each_transport(of, out, |[_, count, _, _]| count);
        },
    ),
    counter(
        "sockeye_bytes_in_total",
        TRANSPORT,
        "Bytes of the payloads of messages that came",
        |of, out| {
            each_transport(of, out, |[_, _, bytes, _]| bytes);
        },
    ),
    counter(
        "sockeye_bytes_out_total",
        TRANSPORT,
        "Bytes of the payloads of messages that were sent",
        |of, out| each_transport(of, out, |[_, _, _, bytes]| bytes),
    ),
    gauge(
        "sockeye_topics",
        None,
        "Topics that have subscribers, members or messages",
        |of, out| {
            out.one(of.hub.topics);
        },
    ),
    gauge("sockeye_subscriptions", None, "Subscribers of all topics together", |of, out| {
        out.one(of.hub.subscriptions);
    }),
    gauge("sockeye_history_messages", None, "Messages that topics keep", |of, out| {
        out.one(of.hub.messages);
    }),
    gauge("sockeye_history_bytes", None, "Bytes of the messages that topics keep", |of, out| {
        out.one(of.hub.bytes);
    }),
    Series {
        name: "sockeye_publish_seconds",
        kind: Kind::Histogram,
        label: None,
        help: "How long publishing took: numbering, keeping, and giving to listeners",
        read: |of, out| {
            let time = &of.metrics.publish_time;
            let buckets = time.buckets();
            let count = buckets.last().map_or(0, |(_, count)| *count);
            for (bound, count) in buckets {
                out.suffixed("_bucket", "le", bound, count);
            }
            out.part("_sum", time.sum().as_secs_f64());
            out.part("_count", count);
        },
    },
    counter(
        "sockeye_publish_refused_total",
        Some("reason"),
        "Messages that topics did not take",
        {
            |of, out| {
                for (reason, count) in of.metrics.publish_refused.list() {
                    out.labelled("reason", reason, count);
                }
            }
        },
    ),
    counter(
        "sockeye_recover_total",
        Some("result"),
        "Clients that came back with a cursor",
        |of, out| {
            out.labelled("result", "complete", of.metrics.complete.get());
            out.labelled("result", "gap", of.metrics.with_gap.get());
        },
    ),
    counter(
        "sockeye_slow_total",
        Some("policy"),
        "Readers that were too slow, by what was done",
        |of, out| {
            for (policy, name) in POLICIES {
                out.labelled("policy", name, of.metrics.slow(policy).get());
            }
        },
    ),
    counter(
        "sockeye_config_reload_failures_total",
        None,
        "Configurations read anew and not taken on",
        |of, out| out.one(of.metrics.reload_failures.get()),
    ),
    counter(
        "sockeye_log_dropped_total",
        None,
        "Lines of the log that nobody took, or that could not be written",
        |of, out| out.one(of.metrics.log_dropped.get().map_or(0, |count| count.get())),
    ),
];

fn each_transport(of: &Reading<'_>, out: &mut Samples<'_>, pick: fn([u64; 4]) -> u64) {
    for transport in Transport::ALL {
        out.labelled("transport", transport.name(), pick(of.traffic(transport)));
    }
}

const fn counter(
    name: &'static str,
    label: Option<&'static str>,
    help: &'static str,
    read: Read,
) -> Series {
    Series { name, kind: Kind::Counter, label, help, read }
}

const fn gauge(
    name: &'static str,
    label: Option<&'static str>,
    help: &'static str,
    read: Read,
) -> Series {
    Series { name, kind: Kind::Gauge, label, help, read }
}

type Read = fn(&Reading<'_>, &mut Samples<'_>);

const TRANSPORT: Option<&str> = Some("transport");
