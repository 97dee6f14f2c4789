# Slow proofs, outside CI. Each writes its figures to docs/results/.
.PHONY: test lint coverage mutation results bench-env bench-updates bench-pixels bench-loop bench-bus bench-motion bench-walk hil righting arena safety-soak bench-guard bench-estop bench-console bench-identify bench-log faults kill-sweep

test:
	./run test

lint:
	./run lint

# Every line and branch of safety/ by tests/safety: a minute.
coverage:
	./run coverage

# Every small change of safety/ must fail a test of its module; docs/results/mutation.md says how long it takes.
mutation:
	./run mutation $(ARGS)

results: bench-env bench-updates bench-pixels bench-loop bench-bus bench-motion bench-guard bench-estop bench-console bench-identify bench-log hil righting arena safety-soak kill-sweep bench-walk

bench-env bench-updates bench-pixels bench-loop bench-bus bench-motion bench-estop bench-guard bench-console bench-identify bench-log: bench-%:
	./run bench $* $(ARGS) | tee /dev/stderr | tail -n 1 | .venv/bin/python -m json.tool --indent 1 - docs/results/$*.json

# 10 minutes: 10^5 cycles of a damaged line and of a clean one, threads, unpluggings, killed drivers, all on emulated motors.
hil:
	./run bench hil | tee /dev/stderr | tail -n 1 | .venv/bin/python -m json.tool --indent 1 - docs/results/hil.json

# 10^7 attacks on the guard of every robot: about an hour and a half on two cores.
safety-soak:
	./run bench soak | tee /dev/stderr | tail -n 1 | .venv/bin/python -m json.tool --indent 1 - docs/results/soak.json

# 20 minutes: 1,000 falls each of the kitty and of both Minitaurs.
righting:
	./run bench righting $(ARGS) | tee /dev/stderr | tail -n 1 | .venv/bin/python -m json.tool --indent 1 - docs/results/righting.json

# 15 minutes: 100 starts at the border of an arena each.
arena:
	./run bench arena $(ARGS) | tee /dev/stderr | tail -n 1 | .venv/bin/python -m json.tool --indent 1 - docs/results/arena.json

# 1,000 kills of a training run, and a death at each system call of what it writes: half an hour on two idle cores.
kill-sweep:
	./run bench kill_sweep $(ARGS) | tee /dev/stderr | tail -n 1 | .venv/bin/python -m json.tool --indent 1 - docs/results/kill_sweep.json

# 100 repeats of each fault but the network's: an hour and a half. It writes faults.json and faults.md as it goes.
faults:
	./run bench faults --out docs/results

# 5 seeds of ours take 10 minutes, 3 of the peer an hour.
bench-walk:
	./run bench walk --sides fetlock --seeds 0 1 2 3 4 --out docs/results
	./run bench walk --sides stable-baselines3 --seeds 0 1 2 --out docs/results
