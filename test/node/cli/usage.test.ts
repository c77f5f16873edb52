import { expect, it } from "vitest";
import { aCliHome, failed, holding, idleProgram, printed } from "#harness/machine/cli-home.ts";
import { Cli, wordsOf } from "#src/cli/cli.ts";
import { build, withSubcommands } from "#src/cli/commands/program.ts";

/** Words of a line as a shell reads it. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word);
}

async function examples(): Promise<Map<string, string>> {
  const cli = new Cli(aCliHome().io());
  const program = await build(cli, () => undefined);
  const all = withSubcommands(program).filter((one) => one !== program && one.name() !== "help");
  return new Map(all.map((one) => [wordsOf(one).join(" "), cli.exampleOf(one)]));
}

/** Serve until they are stopped, install, or are started by clients. */
const notRun =
  /^(?:up|worker|mcp|hook|statusline|demo|pair|init|host|take|doctor metrics|report run|code|team (?:locks|leaders) run)/;

it("every help has an example, which is right usage: it is parsed, and its values are ones that the command takes", async () => {
  const all = await examples();
  expect(all.size).toBeGreaterThan(100);
  let complaint = "";
  const program = await idleProgram((text) => (complaint += text));
  const wrong: string[] = [];
  for (const [command, line] of all) {
    const [shim, ...words] = shellWords(line);
    expect([shim, line.startsWith(`shim ${command}`)]).toEqual(["shim", true]);
    complaint = "";
    await program.parseAsync(words, { from: "user" }).catch((error: Error) => (complaint ||= error.message));
    if (complaint !== "") wrong.push(`${line}: ${complaint}`);
  }
  const home = aCliHome();
  for (const line of new Set(all.values())) {
    const [, ...words] = shellWords(line);
    if (notRun.test(words.join(" "))) continue;
    const { code, err } = await home.shim("", ...words);
    if (code === 2 && err.includes("Usage:")) wrong.push(`${line}: ${err}`);
  }
  expect(wrong).toEqual([]);
  expect((await home.shim("task list --help")).out).toMatch(/\nExample:\n {2}shim task list/);
});

it("wrong usage names what is wrong as it was typed, and shows the usage of that command with an example", async () => {
  const home = aCliHome();
  for (const [typed, wrong, usage] of [
    ["sessions show", "missing required argument 'id'", "Usage: shim sessions show [options] <id>"],
    ["sessions --what", "unknown option '--what'", "Usage: shim sessions [options]"],
    ["task submit build --priority 12", "--priority: at most 9", "Usage: shim task submit [options] [what]"],
    ["task submit build --tag " + "x".repeat(300), "--tag", "Usage: shim task submit"],
    ["task jobs submit job.yaml --type a/b", "--type: 1 to 64 letters", "Usage: shim task jobs submit"],
    ["task show many", "task: must be a", "Usage: shim task show [options] <task>"],
    ["task lst", "unknown command 'lst'", "Usage: shim task"],
    ["pause soonish", "duration", "Usage: shim pause"],
  ] as const) {
    const ran = await home.shim(typed);
    expect([typed, ran]).toMatchObject([typed, { ...failed(2, wrong, usage, /\nExample: shim \S+/), out: "" }]);
    expect(ran.err).not.toMatch(/tasks\.0|help --all/);
  }
  expect(await home.shim("nonsense")).toMatchObject(failed(2, "`shim --help` lists the commands."));
});

it("a task is submitted by its text, also with a type, or by its type alone, and the list says what each is about", async () => {
  const home = aCliHome();
  expect(await home.shim("task submit", "add unary minus")).toMatchObject(
    printed(/^Task \d+ is queued\.\nIts type is code: /),
  );
  expect(await home.shim("task submit build")).toMatchObject(printed(/^Task \d+ is queued\.\n$/));
  expect(await home.shim("task submit --type test", "the parser's tests")).toMatchObject(printed("type is test"));
  const { out } = await home.shim("task list");
  expect(out).toEqual(holding(/code +add unary minus/, /build +- /, /test +the parser's tests/));
  expect(await home.json("task list --type code")).toMatchObject({
    tasks: [{ type: "code", about: "add unary minus" }],
  });
  await home.misuses("task submit", [
    [["one thing", "and another"], "too many arguments"],
    [["do it", "--payload", "1"], "the text is the payload"],
    ["", "say what is to be done"],
  ]);
});

it("`shim sessions <id>` shows the session", async () => {
  const { aSeededHome, ids } = await import("#harness/machine/cli-home.ts");
  const home = aSeededHome();
  const shown = await home.shim("sessions show bbbb2");
  expect(shown.out).toContain(ids.dead);
  expect(await home.shim("sessions bbbb2")).toMatchObject({ code: 0, out: shown.out });
  expect(await home.shim("sessions nope")).toMatchObject(failed(3, "nope"));
});
