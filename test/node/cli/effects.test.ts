import { expect, it } from "vitest";
import { addSession, aCliHome, type CliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { git, initWithRemote } from "#harness/machine/git-project.ts";
import type { EffectNote } from "#src/contract/work-state.ts";

const push: EffectNote = { kind: "push", command: "git push origin main", shows: "all", branch: "main" };
const deploy: EffectNote = { kind: "deployment", command: "fly deploy", shows: "all", check: "fly releases" };

function addChat(home: CliHome, id: string, notes: readonly EffectNote[]): void {
  const call = { id: `c-${id}`, name: "Bash", input: "x" };
  const start = { kind: "tool_start", ...call, effects: notes } as const;
  const ended = id === "open" ? [] : [{ kind: "tool_end", ...call } as const];
  addSession(home, { id, entries: [{ kind: "prompt", text: "release" }, start, ...ended] });
  home.now += 60_000;
}

it("lists what chats did that cannot be undone, newest first, with how to find out", async () => {
  const home = aCliHome();
  addChat(home, "done", [push]);
  addChat(home, "open", [deploy]);
  expect(await home.shim("effects")).toMatchObject(
    printed(
      /open +deployment +fly deploy +unknown \(no end[^\n]*fly releases\n[^\n]*done +push +git push origin main +done/,
      "shim effects --check",
    ),
  );
  const { effects } = (await home.json("effects done")) as { effects: object[] };
  expect(effects).toEqual([
    expect.objectContaining({
      session: "done",
      kind: "push",
      outcome: "done",
      check: "git ls-remote origin main",
      found: null,
    }),
  ]);
  expect(await home.shim("effects none")).toMatchObject(failed(3, 'there is no session "none"'));
  expect(await home.shim(`effects --project ${home.other}`)).toMatchObject(
    printed("Nothing that cannot be undone is known."),
  );
});

it("--check says what was compared, in the timeline each has a line", async () => {
  const home = aCliHome();
  initWithRemote(home.project);
  addChat(home, "done", [push]);
  const checked = async (): Promise<unknown> =>
    ((await home.json("effects --check")) as { effects: object[] }).effects[0];
  expect(await checked()).toMatchObject({ found: { isThere: false, text: "origin has no main" } });
  git(home.project, "push", "-q", "origin", "main");
  expect(await checked()).toMatchObject({
    found: { isThere: true, text: expect.stringContaining("where main is now") },
  });
  expect(await home.shim("effects --check")).toMatchObject(printed("there: refs/heads/main of origin is at "));
  expect(await home.shim("sessions show done")).toMatchObject(
    printed(/effect +cannot be undone: git push origin main: done/),
  );
});

it("a command that the user adds is checked", async () => {
  const home = aCliHome();
  const set = (value: unknown) => home.shim("config set effects.commands", JSON.stringify(value));
  expect(await set([{ words: "make ship", kind: "deployment", unless: "test" }])).toMatchObject({ code: 0 });
  expect((await set([{ words: "make ship", kind: "rocket" }])).code).toBe(2);
  expect((await set([{ words: "make ship", kind: "push", when: "x" }])).err).toContain("when");
});
