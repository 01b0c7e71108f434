# Shorthands for people who like `just`. The chores themselves are in xtask/.

# The whole gate, as CI runs it.
check:
    cargo xtask check

# The part of the gate that takes a minute.
quick:
    cargo xtask check --quick

# House rules that no compiler checks.
tidy:
    cargo xtask tidy

# The simulator, on the given seeds.
explore seeds="0..500":
    cargo run --release -p quorate-sim -- explore --seeds {{ seeds }}

# Plant mistakes and see that the tests find them.
mutants *args:
    cargo xtask mutants {{ args }}

# Which known bug is tested where.
scenarios:
    cargo xtask scenarios

# The end-to-end checks, all or by name.
e2e *names:
    cargo xtask e2e {{ names }}

# Latency and group commit of a three-node cluster.
bench:
    cargo xtask bench quick
