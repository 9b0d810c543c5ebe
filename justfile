# Forestay's recipes. `./dev RECIPE` is the same as `just RECIPE`, and makes the environment first.

set quiet

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export VIRTUAL_ENV := justfile_directory() / ".venv"

uv_version := "0.13.9"
just_version := "1.59.0"
slow := "crash or openstack or perf or fuzz"
lab := justfile_directory() / "../shared/openstack-lab"

[private]
default:
    just --list --unsorted

# Run the main job on a simulated OpenStack, with progress
[group('run')]
demo *args:
    forestay demo {{ args }}

# Start everything on 127.0.0.1:9890
[group('run')]
up *args:
    forestay up {{ args }}

# The fast tests
[group('test')]
test *args:
    pytest -n 2 -m "not ({{ slow }})" {{ args }}

# Kill the real processes at every step of an operation; then, with nothing beside it, many operations at once
[group('test')]
[script('bash')]
test-crash *args:
    set -euo pipefail
    pytest -n 4 -m "crash and not perf" {{ args }}
    pytest -m "crash and perf" {{ args }} || [ $? -eq 5 ] # 5: the arguments select none

# Drive Forestay with the unmodified python-tackerclient
[group('test')]
test-client *args:
    pytest -m client {{ args }}

# Let schemathesis send for two minutes what no client would, to all that /openapi.json describes
[group('test')]
test-fuzz-api *args:
    pytest -m fuzz {{ args }}

# Measure the limits and ratios that we promise
[group('test')]
test-perf *args:
    pytest -m perf {{ args }}

# Mutate VNF packages for a minute: whatever is uploaded, the reader ends soon, with a report, in its memory
[group('test')]
fuzz *args:
    python -m tests.packages.fuzz {{ args }}

# The same flow on a real OpenStack, which is started and stopped
[group('test')]
[script('bash')]
test-openstack *args:
    set -euo pipefail
    if [ ! -x "{{ lab }}/up" ]; then
        echo "test-openstack: skipped, because there is no OpenStack lab in {{ clean(lab) }}"
        exit 0
    fi
    export OPENSTACK_LAB_HOME="${OPENSTACK_LAB_HOME:-$HOME/.cache/openstack-lab}"
    if ! "{{ lab }}/status" >/dev/null 2>&1; then
        trap '"{{ lab }}/down"' EXIT
        "{{ lab }}/up" --install-only
        # Its services take 100 connections each, which a heat-engine alone comes to keep; then all wait for minutes.
        site=$("$OPENSTACK_LAB_HOME/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        echo 'import waitress.adjustments as by; by.Adjustments.connection_limit = 1000' >"$site/forestay-connections.pth"
        "{{ lab }}/up"
    fi
    export OS_CLIENT_CONFIG_FILE="$OPENSTACK_LAB_HOME/clouds.yaml" OS_CLOUD=lab OPENSTACK_LAB="{{ clean(lab) }}"
    pytest -m openstack {{ args }}

# Style, types and the borders between the packages
[group('check')]
check:
    ruff check
    ruff format --check
    pyright
    lint-imports

# Let ruff put the style right
[group('check')]
format:
    ruff check --fix
    ruff format

# What the continuous integration runs
[group('check')]
ci:
    .ci/run

# Make the environment (./dev has done it when this runs)
[group('environment')]
setup:
    echo "The environment is ready: {{ VIRTUAL_ENV }}"

# Write the locks anew from the pyproject files; `--upgrade` takes the newest versions
[group('environment')]
[script('bash')]
lock *args:
    set -euo pipefail
    # uv writes the host of a configured index into its lock, and would prefer what it finds there.
    unset UV_DEFAULT_INDEX UV_INDEX_URL UV_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS
    uv lock --quiet {{ args }}
    write() { { echo "# Made by 'just lock'; do not edit."; cat; } > "$1.new" && mv "$1.new" "$1"; }
    export_lock() { uv export --quiet --frozen --no-header --no-annotate --no-emit-workspace "$@"; }
    export_lock --no-dev | write requirements.lock
    export_lock --only-dev | write requirements-dev.lock
    printf '%s\n' "uv=={{ uv_version }}" "rust-just=={{ just_version }}" |
        uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate - | write requirements-tools.lock
    ! grep -n '://' requirements*.lock
