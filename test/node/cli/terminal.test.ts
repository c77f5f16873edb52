import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { expect, it, onTestFinished, vi } from "vitest";
import { systemIo } from "#src/cli/io.ts";

/** This process has these streams until the test ends. */
function aProcess(isTTY: boolean) {
  const stream = () => Object.assign(new PassThrough(), { isTTY, columns: 90, rows: 0 });
  const streams = { stdin: stream(), stdout: stream(), stderr: stream() };
  for (const name of ["stdin", "stdout", "stderr"] as const) {
    const spy = vi.spyOn(process, name, "get").mockReturnValue(streams[name] as never);
    onTestFinished(() => spy.mockRestore());
  }
  return { ...streams, io: systemIo(import.meta.url, process.env) };
}

it("a question is asked on stderr; Ctrl-C and the end of the input are no answer", async () => {
  const { stdin, stdout, stderr, io } = aProcess(true);
  for (const [typed, answer, shown] of [
    ["shim\r", "shim", "Name? shim\n"],
    ["\u0003", null, "Name? \n"],
    ["\u0004", null, "Name? "],
  ] as const) {
    const asked = io.ask("Name? ");
    stdin.write(typed);
    expect(await asked).toBe(answer);
    expect(stripVTControlCharacters(String(stderr.read())).replaceAll("\r", "")).toBe(shown);
  }
  expect(stdout.read()).toBeNull();
});

it("lines and a lost reader are heard until they are no longer needed", () => {
  const { stdin, stdout, stderr, io } = aProcess(true);
  const heard: string[] = [];
  const hear = (what: string) => () => void heard.push(what);
  const undo = [io.onEnter(hear("enter")), io.onReaderGone(hear("gone"))];
  stdin.emit("data", "q");
  // A reader that is gone ends nothing.
  for (const stream of [stdout, stderr]) stream.emit("error", new Error("EIO"));
  const pauses = undo.map((end) => {
    stdin.resume();
    end();
    return stdin.isPaused();
  });
  stdin.emit("data", "q");
  expect([heard, pauses, io.size()]).toEqual([["enter", "gone", "gone"], [true, false], { columns: 90, rows: 40 }]);
  for (const stream of [stdin, stdout, stderr]) expect(stream.listenerCount("error")).toBe(0);
});

it("without a terminal no line is waited for, and the input is read to its end, at most 4,000,000 characters", async () => {
  const { stdin, io } = aProcess(false);
  io.onEnter(() => undefined)();
  expect(stdin.listenerCount("data")).toBe(0);
  const bytes = Buffer.from("é".repeat(4_000_001));
  const read = io.readInput();
  stdin.write(bytes.subarray(0, 1));
  setImmediate(() => stdin.end(bytes.subarray(1)));
  expect(await read).toBe("é".repeat(4_000_000));
  expect(await aProcess(true).io.readInput()).toBe("");
});

const counts = (): number[] => [process.listenerCount("SIGTERM"), process.listenerCount("SIGHUP")];

it("SIGTERM, SIGHUP or the first Ctrl-C interrupts, and cuts a wait short", async () => {
  const { stdout, stderr, io } = aProcess(false);
  const before = counts();
  const signal = io.interrupted();
  const waited = io.wait(60_000, signal);
  const over = io.onInterrupt(() => io.stdout("asked to end"));
  process.emit("SIGHUP");
  over();
  await waited;
  io.stderr("over");
  expect([signal.aborted, String(stdout.read()), String(stderr.read())]).toEqual([true, "asked to end", "over"]);
  for (const name of ["SIGTERM", "SIGINT"] as const) process.emit(name);
  expect(counts()).toEqual(before);
});
