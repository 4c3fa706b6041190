"""Runs the probes and measures, and writes what was seen to a file: python3 run.py --help"""

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import time

import servers

PROBES = ("transports", "publish", "recovery", "presence", "slow", "limits", "defaults", "config", "signals", "metrics")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(servers.ALL), help="which servers, by commas")
    parser.add_argument("--only", default=",".join(PROBES), help="which probes, by commas; empty for none")
    parser.add_argument("--rounds", type=int, default=0, help="how often each figure is measured; none without")
    parser.add_argument("--quick", action="store_true", help="a tenth of the subscribers: to see that it works")
    parser.add_argument("--out", default="results.json", help="where the results go; what is not run anew stays")
    return parser.parse_args()


def installed(names):
    """The servers that are there, with their versions. Ends the program, saying which is not."""
    versions = {}
    for name in names:
        try:
            server = servers.ALL[name]()
            server.command()
            versions[name] = server.version()
            server.__exit__()
        except servers.Missing as missing:
            sys.exit(str(missing))
    return versions


def main():
    options = arguments()
    names = [name for name in options.servers.split(",") if name]
    results = {"servers": {}, "behaviours": {}, "figures": {}}
    if os.path.exists(options.out):
        with open(options.out) as old:
            results.update(json.load(old))
    results["servers"].update(installed(names))
    for probe in filter(None, options.only.split(",")):
        module = importlib.import_module(f"probes.{probe}")
        seen = results["behaviours"].setdefault(probe, {"question": module.__doc__})
        for name in names:
            print(f"{probe}: {name}", flush=True)
            with servers.ALL[name]() as server:
                seen[name] = module.probe(server)
        save(results, options.out)
    if options.rounds:
        measure = importlib.import_module("measure")
        before = os.getloadavg()
        results["figures"] = measure.figures(names, options.rounds, options.quick)
        results["machine"] = {
            "date": time.strftime("%Y-%m-%d"),
            "cores": os.cpu_count(),
            "processor": processor(),
            "system": f"{platform.system()} {platform.release()}",
            "load before and after": [round(before[0], 2), round(os.getloadavg()[0], 2)],
        }
        save(results, options.out)
    print(table(results["figures"]))


def table(figures):
    """The rows of the page's table: medians, and in brackets the median of the rounds' ratios to Sockeye's."""
    rows = []
    for point, by in figures.items():
        cells = [point]
        for name in servers.ALL:
            found, ours = by.get(name), by.get("sockeye")
            if not found:
                cells.append("–")
                continue
            ratios = [theirs / our for theirs, our in zip(found["runs"], ours["runs"] if ours else [])]
            cells.append(f"{found['median']:,}" + (f" ({statistics.median(ratios):.1f})" if ratios and name != "sockeye" else ""))
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def processor():
    with open("/proc/cpuinfo") as info:
        return next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown")


def save(results, path):
    with open(path, "w") as out:
        json.dump(results, out, indent=1, default=repr)
        out.write("\n")


if __name__ == "__main__":
    main()
