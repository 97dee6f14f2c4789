.PHONY: test lint bench-loop

test:
	./run test

lint:
	./run lint

bench-loop:
	./run bench loop
