"""Ask an advisory service what is known against each locked package: `make audit`.

With --if-possible it is no failure that there is no such service to ask, as on a machine without a network.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "requirements-dev.lock"  # has every package but torch
NOT_AUDITED = 3


def main() -> int:
    """Return 0 if nothing is known, 1 for a vulnerability, 3 if nobody could tell."""
    packages = _looked_up()
    audited = [one for one in packages if "skip_reason" not in one]
    faults = [(one, fault) for one in audited for fault in one["vulns"]]
    for one, fault in faults:
        print(f"{one['name']} {one['version']}: {fault['id']}; fixed in {fault['fix_versions'] or 'no version'}")
    print(f"{len(audited)} of {len(packages)} locked packages were looked up, {len(faults)} vulnerabilities are known")
    if faults:
        return 1
    if len(audited) == len(packages) > 0:
        return 0
    print("Not audited: the advisory service does not answer, or does not know the packages.", file=sys.stderr)
    return 0 if "--if-possible" in sys.argv else NOT_AUDITED


def _looked_up() -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip", "--require-hashes"]
    options = ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    ran = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    try:
        return json.loads(ran.stdout)["dependencies"]
    except ValueError:  # it did not come so far
        print(ran.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        return []


if __name__ == "__main__":
    sys.exit(main())
