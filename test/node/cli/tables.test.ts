import * as fc from "fast-check";
import { expect, it } from "vitest";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { textWidth, wrapLine } from "#src/cli/screen-text.ts";
import { table } from "#src/cli/table.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { countCost, countResponses } from "#src/machine/sessions/usage/ledger.ts";

const id = "aaaa1111-0000-4000-8000-000000000001";
const long = `write the ${"very ".repeat(24)}last word of a long request`;
const windowOf = (columns: number) => ({ isTty: true, size: () => ({ columns, rows: 40 }) });

async function aBusyHome(): Promise<CliHome> {
  const home = aCliHome();
  const effect = { kind: "push", command: `git push origin ${"a-".repeat(20)}branch`, shows: "all" } as const;
  const call = { id: "t1", name: "Bash", input: "git push", effects: [effect] };
  const entries: JournalEntry[] = [
    { kind: "prompt", text: long },
    { kind: "tool_start", ...call },
  ];
  addSession(home, { id, pid: 200, title: long, entries });
  home.runtime.store.write((sql) => {
    const session = sessions.get(sql, id) as sessions.Session;
    const counts = {
      input: 1_234_567,
      cacheRead: 987_654_321,
      cacheWrite: 45_678,
      output: 9_876,
    };
    const usage = [{ messageId: "m", requestId: null, model: "m", at: home.now, ...counts }];
    countResponses(sql, session, { usage, subagentUsage: [] }, home.now);
    countCost(sql, session, 1_234.5, "m", home.now);
  });
  await home.shim("task submit build --payload", JSON.stringify(long));
  return home;
}

const tables = ["sessions", "effects", "cost", "cost --by session", "task list", "fork aaaa1111 --list", "call"];

it("in a pipe a table has every column and every cell whole, on one line each, so that grep and awk find all", async () => {
  const home = await aBusyHome();
  for (const command of ["sessions", "fork aaaa1111 --list", "task list", "sessions show aaaa1111"]) {
    const { out } = await home.shim(command);
    expect([command, out.includes(long)]).toEqual([command, true]);
  }
  for (const command of tables) {
    const { out } = await home.shim(command);
    const [head = "", ...rows] = out.split("\n").filter((line) => line.includes("  "));
    const widths = rows.map((row) => row.split(/ {2,}/).length);
    expect([command, widths]).toEqual([command, widths.map(() => head.split(/ {2,}/).length)]);
  }
});

it("in a window of 60 columns no line is wider, no word of it broken, and what the table is about is whole: cost, outcome, state and time", async () => {
  const home = await aBusyHome();
  for (const columns of [60, 80, 100])
    for (const command of tables) {
      const { out } = await home.shimWith(windowOf(columns), command);
      const wide = out.split("\n").filter((line) => textWidth(line) > columns && wrapLine(line, columns).length > 1);
      expect([command, wide]).toEqual([command, []]);
    }
  const shown = async (command: string): Promise<string> => (await home.shimWith(windowOf(60), command)).out;
  expect(await shown("cost")).toMatch(/COST[^]*\$1234\.50/);
  expect((await shown("effects")).replaceAll(/\s+/g, " ")).toMatch(/OUTCOME/);
  expect(await shown("sessions")).toMatch(/^ID +STATE +.*SEEN +TITLE$/m);
});

const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 12 }).map((all) => all.join(" "));

it("whatever the cells and the window, no line is wider, and a column without its own rule keeps all words of three lines", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(words, words, words), { minLength: 1, maxLength: 5 }), fc.nat(100), (rows, more) => {
      const columns = 20 + more;
      const out = table([["ONE", "TITLE", "OTHER"], ...rows], columns);
      for (const line of out.split("\n")) expect(textWidth(line)).toBeLessThanOrEqual(columns);
      const whole = table([["ONE", "TITLE", "OTHER"], ...rows], Number.POSITIVE_INFINITY).split("\n");
      for (const [at, row] of rows.entries()) for (const cell of row) expect(whole[at + 1]).toContain(cell);
      if (!out.includes("...")) for (const word of rows.flat().join(" ").split(" ")) expect(out).toContain(word);
    }),
  );
});

it("a window that is too narrow for a table shows each row as lines, one for a cell", () => {
  const rows = [
    ["ID", "MACHINE", "EXPIRES"],
    ["tok_0123456789", "a-long-machine-name", "in 29 d"],
    ["tok_1", "m", "never"],
  ];
  expect(table(rows, 30)).toBe(`ID       tok_0123456789
MACHINE  a-long-machine-name
EXPIRES  in 29 d

ID       tok_1
MACHINE  m
EXPIRES  never
`);
});

it("sentences, errors and the help are broken between words at the edge of the terminal; code to copy, and what is piped, are not", async () => {
  const home = aCliHome();
  for (const command of ["pause --help", "--help", "help --all", "nonsense", "task submit"]) {
    const { out, err } = await home.shimWith(windowOf(60), command);
    const wide = `${out}${err}`.split("\n").filter((line) => textWidth(line) > 60 && wrapLine(line, 60).length > 1);
    expect([command, wide]).toEqual([command, []]);
  }
  // What is shown before a question as well.
  write(home.folder, { ".claude/settings.json": "{} // mine\n" });
  const terminal = { ...windowOf(60), isInteractive: true, ask: () => Promise.resolve("n") };
  const { out: preview } = await home.shimWith(terminal, "init");
  expect(preview).toContain("will not be connected");
  expect(preview.split("\n").filter((line) => textWidth(line) > 60 && wrapLine(line, 60).length > 1)).toEqual([]);
  expect(wrapLine("say `shim a b` now", 10, "")).toEqual(["say", "`shim a b`", "now"]);
  const piped = await home.shim("report");
  expect(piped.out).not.toMatch(/\n {2,}\S+$/);
});
