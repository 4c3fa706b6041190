//! `cargo xtask deps`: the edges between our crates, held against the edge table.
//!
//! The table is the law of the layering: an edge that is not in it is refused, whether it is a
//! normal, a build or a development dependency. Crates of others are not looked at here.

use crate::failure::{Failure, no_arguments, none_found};
use crate::metadata::{DependencyKind, Metadata, Package, Scope};
use crate::repo::Repo;

/// A crate of ours and the crates of ours it may name in its manifest.
struct Edges {
    from: &'static str,
    to: &'static [&'static str],
    /// Crates that its tests may name besides.
    tests: &'static [&'static str],
    rule: &'static str,
}

/// Every crate there may be; a crate may be in the table before its code is there.
const TABLE: &[Edges] = &[
    Edges {
        from: "sockeye-proto",
        to: &[],
        tests: &["sockeye-conform"],
        rule: "the protocol core stands on none of our crates",
    },
    Edges {
        from: "sockeye",
        to: &["sockeye-proto"],
        tests: &[],
        rule: "the library is a host of the core and of nothing else",
    },
    Edges {
        from: "sockeye-axum",
        to: &["sockeye"],
        tests: &[],
        rule: "the extractor wraps the library",
    },
    Edges {
        from: "sockeye-reactor",
        to: &["sockeye-proto"],
        tests: &[],
        rule: "the reactor is a host of the core and of nothing else",
    },
    Edges {
        from: "sockeye-hub",
        to: &[],
        tests: &[],
        rule: "the hub knows payloads, not frames or sockets",
    },
    Edges {
        from: "sockeye-sockjs",
        to: &["sockeye-proto"],
        tests: &[],
        rule: "SockJS sessions need the core only",
    },
    Edges {
        from: "sockeye-socketio",
        to: &["sockeye-proto"],
        tests: &[],
        rule: "Socket.IO sessions need the core only",
    },
    Edges {
        from: "sockeye-server",
        to: &[
            "sockeye-proto",
            "sockeye",
            "sockeye-axum",
            "sockeye-reactor",
            "sockeye-hub",
            "sockeye-sockjs",
            "sockeye-socketio",
        ],
        tests: &[],
        rule: "the server stands on the libraries",
    },
    Edges {
        from: "sockeye-conform",
        to: &[],
        tests: &[],
        rule: "the conformance tester builds its own frames, or it would inherit our bugs",
    },
    Edges {
        from: "sockeye-cli",
        to: &[
            "sockeye-proto",
            "sockeye",
            "sockeye-axum",
            "sockeye-reactor",
            "sockeye-hub",
            "sockeye-sockjs",
            "sockeye-socketio",
            "sockeye-server",
            "sockeye-conform",
        ],
        tests: &[],
        rule: "the binary stands on top",
    },
    Edges {
        from: "xtask",
        to: &[],
        tests: &[],
        rule: "the automation must build when our crates do not",
    },
];

/// Names that say nothing and so collect everything.
const BANNED_NAMES: &[&str] = &["core", "common", "utils", "types", "macros", "prelude"];

/// Runs the subcommand.
///
/// # Errors
/// [`Failure::Check`] naming each forbidden edge, unknown crate and banned name.
pub(crate) fn command(repo: &Repo, arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    let metadata = Metadata::load(repo, Scope::Workspace)?;
    none_found(
        "crates or edges that xtask/src/deps.rs does not allow:",
        &findings(&metadata.packages),
    )?;
    println!("{} crates, every edge is in the table", metadata.packages.len());
    Ok(())
}

fn findings(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        if let Some(banned) = banned_part(&package.name) {
            found.push(format!("{}: no crate is called `{banned}`", package.name));
        }
        match TABLE.iter().find(|edges| edges.from == package.name) {
            None => found.push(format!("{}: not a crate of the table", package.name)),
            Some(edges) => found.extend(forbidden_edges(package, edges)),
        }
    }
    found
}

fn forbidden_edges(package: &Package, edges: &Edges) -> Vec<String> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.local || is_ours(&dependency.name))
        .filter(|dependency| {
            let name = dependency.name.as_str();
            let tested =
                dependency.kind == DependencyKind::Development && edges.tests.contains(&name);
            !tested && !edges.to.contains(&name)
        })
        .map(|dependency| {
            let kind = match dependency.kind {
                DependencyKind::Build => " (build)",
                DependencyKind::Development => " (development)",
                DependencyKind::Normal => "",
            };
            format!("{} -> {}{kind}: {}", package.name, dependency.name, edges.rule)
        })
        .collect()
}

fn is_ours(name: &str) -> bool {
    TABLE.iter().any(|edges| edges.from == name)
}

fn banned_part(name: &str) -> Option<&'static str> {
    let last = name.rsplit(['-', '_']).next().unwrap_or(name);
    BANNED_NAMES.iter().copied().find(|banned| *banned == last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, edge: Option<(&str, DependencyKind)>) -> Package {
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            license: None,
            source: None,
            dependencies: edge
                .into_iter()
                .map(|(to, kind)| Dependency {
                    name: to.to_owned(),
                    kind,
                    local: to.starts_with("sockeye"),
                })
                .collect(),
        }
    }

    #[test]
    fn edge_of_the_table_passes() {
        let edge = Some(("sockeye-proto", DependencyKind::Normal));
        assert!(findings(&[package("sockeye", edge)]).is_empty());
    }

    #[test]
    fn forbidden_edge_names_both_ends_and_the_rule() {
        let edge = Some(("sockeye", DependencyKind::Normal));
        let found = findings(&[package("sockeye-proto", edge)]);
        assert!(found[0].starts_with("sockeye-proto -> sockeye: the protocol core"));
    }

    #[test]
    fn development_dependency_is_held_to_the_same_table() {
        let edge = Some(("sockeye", DependencyKind::Development));
        let found = findings(&[package("sockeye-conform", edge)]);
        assert!(found[0].contains("(development)"));
    }

    #[test]
    fn crate_of_others_is_not_looked_at() {
        let edge = Some(("bytes", DependencyKind::Normal));
        assert!(findings(&[package("sockeye-proto", edge)]).is_empty());
    }

    #[test]
    fn unknown_crate_is_refused() {
        let found = findings(&[package("sockeye-extra", None)]);
        assert_eq!(found, ["sockeye-extra: not a crate of the table"]);
    }

    #[test]
    fn banned_name_is_refused_alone_and_as_the_last_part() {
        assert_eq!(banned_part("utils"), Some("utils"));
        assert_eq!(banned_part("sockeye-core"), Some("core"));
        assert_eq!(banned_part("sockeye-proto"), None);
    }

    #[test]
    fn table_names_only_crates_of_the_table_and_has_no_cycle() {
        for (index, edges) in TABLE.iter().enumerate() {
            for to in edges.to {
                let below = TABLE[..index].iter().chain(&TABLE[index + 1..]);
                assert!(below.clone().any(|other| other.from == *to), "{to}");
                let back = below.clone().find(|other| other.from == *to).unwrap();
                assert!(!back.to.contains(&edges.from), "{} <-> {to}", edges.from);
            }
        }
    }
}
