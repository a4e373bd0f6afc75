#!/usr/bin/env bash
# Installs python-openzwave, the second Z-Wave driver's library, in an environment of its own. Quick when nothing changed.
#
# The library is GPL-3.0 and Atrium never imports it: only infra/zwave/openzwave_child.py does, in another process, run by
# the interpreter that this script makes. Where: $ATRIUM_PACKAGES/openzwave, else ~/.cache/atrium/openzwave.
set -euo pipefail

packages=(libopenzwave1.6-dev libudev-dev pkg-config build-essential)
library=python_openzwave==0.4.19
tools=(setuptools==79.0.1 wheel==0.45.1 "Cython==3.1.6" six==1.17.0 pyserial==3.5 PyDispatcher==2.0.7)
home="${ATRIUM_PACKAGES:-$HOME/.cache/atrium}/openzwave"
wanted="$library ${tools[*]}"

if [ "$(cat "$home/installed" 2>/dev/null)" = "$wanted" ] && "$home/bin/python" -c "import libopenzwave" 2>/dev/null; then
    echo "python-openzwave: already in $home"
    exit 0
fi

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "python-openzwave: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

echo "python-openzwave: building $library in $home (a few minutes)"
rm -rf "$home"
mkdir -p "$home"
"${PYTHON:-python3}" -m venv "$home"
"$home/bin/python" -m pip install -q --disable-pip-version-check "${tools[@]}"
"$home/bin/python" -m pip install -q --disable-pip-version-check --no-cache-dir --no-build-isolation --no-deps "$library"
"$home/bin/python" -c "import libopenzwave" || {
    echo "python-openzwave: built, but libopenzwave cannot be imported in $home" >&2
    exit 1
}
echo "$wanted" > "$home/installed"
echo "python-openzwave: installed in $home"
