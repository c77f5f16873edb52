import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import { runShim } from "#harness/clients/real-clients.ts";
import { write } from "#harness/machine/git-project.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";

const dialog = "Do you want to proceed?";
const settings = { permissions: { ask: ["Bash"] } };

function aRig() {
  const rig = new ClaudeRig();
  write(rig.paths.home, { "config.json": JSON.stringify({ answers: { isEnabled: true } }) });
  const env = { PATH: process.env["PATH"] ?? "", HOME: rig.home, SHIM_HOME: rig.paths.home };
  const shim = (...args: readonly string[]): unknown => JSON.parse(runShim([...args, "--json"], { env }));
  const list = () => shim("requests") as MachineOutput<"requests.list">;
  const open = () => list().requests;
  const outcomes = (): string[] => (list().answers ?? []).map(({ decision, outcome }) => `${decision} ${outcome}`);
  const asked = (text: string) =>
    untilFound(() => open().find((one) => one.text.startsWith(text)), `a request: ${text}`);
  return { rig, shim, open, asked, outcomes };
}

it("a dialog of Claude Code is answered from elsewhere while its terminal shows it: one call is allowed, the next denied", async () => {
  const { rig, shim, open, asked, outcomes } = aRig();
  const steps = [bash("touch one.txt"), bash("touch two.txt"), { text: "Done." }];
  const chat = await rig.typed("make the files", { steps, settings });
  await chat.process.shows(dialog);
  const one = await asked("touch one.txt");
  expect([one.reason, existsSync(rig.path("one.txt"))]).toEqual([null, false]);
  shim("requests", "answer", one.id, "allow");
  await untilFound(() => existsSync(rig.path("one.txt")), "the file");
  const two = await asked("touch two.txt");
  shim("requests", "answer", two.id, "deny", "--message", "Not this one.");
  await rig.last(chat.id, "turn_end");
  expect(existsSync(rig.path("two.txt"))).toBe(false);
  expect(received(chat.model, -1)).toContain("Not this one.");
  expect([open(), outcomes()]).toEqual([[], ["allow taken", "deny taken"]]);
});

const waiting = (go: string, file: string) =>
  bash(`echo 'a  b' > begun-${go}\nuntil [ -e ${go} ]; do sleep 0.1; done; touch ${file}`);

it("once its terminal has allowed a command a denial is refused while it runs, and the card ends without an answer, too", async () => {
  const { rig, shim, open, asked } = aRig();
  const chat = await rig.typed("make the files", {
    steps: [waiting("go-1", "one.txt"), waiting("go-2", "two.txt"), { text: "Done." }],
    settings,
  });
  await chat.process.shows(dialog);
  const { id } = await asked("echo 'a  b' > begun-go-1");
  await chat.process.press("Enter");
  await untilFound(() => existsSync(rig.path("begun-go-1")), "the running command");
  expect(() => shim("requests", "answer", id, "deny")).toThrow("its command was seen to run");
  write(rig.project, { "go-1": "" });
  await asked("echo 'a  b' > begun-go-2");
  await chat.process.press("Enter");
  await untilFound(() => open().length === 0, "the end of the card");
  expect(existsSync(rig.path("two.txt"))).toBe(false);
  write(rig.project, { "go-2": "" });
  await rig.last(chat.id, "turn_end");
  expect([existsSync(rig.path("one.txt")), existsSync(rig.path("two.txt"))]).toEqual([true, true]);
});

it("a request of a chat that is killed is over, and a late yes says that the chat is dead", async () => {
  const { rig, shim, open, asked } = aRig();
  const chat = await rig.typed("make the file", { steps: [bash("touch one.txt"), { text: "Done." }], settings });
  await chat.process.shows(dialog);
  const { id } = await asked("touch one.txt");
  process.kill(chat.process.pid, "SIGKILL");
  await untilFound(() => open().length === 0, "the end of the request");
  expect(() => shim("requests", "answer", id, "allow")).toThrow();
  expect(existsSync(rig.path("one.txt"))).toBe(false);
});

it("the terminal answers first: the request is over, and a message from elsewhere comes at the end of the turn", async () => {
  const { rig, shim, open, asked } = aRig();
  const steps = [bash("touch one.txt"), { hold: "last", text: "Done." }, { text: "Read." }];
  const chat = await rig.typed("make the file", { steps, settings });
  await chat.process.shows(dialog);
  await asked("touch one.txt");
  await chat.process.press("Enter");
  await untilFound(() => existsSync(rig.path("one.txt")), "the file");
  await untilFound(() => open().length === 0, "the end of the request");
  await chat.model.held("last");
  expect(shim("requests", "message", chat.id, "Then stop.")).toMatchObject({ comes: "stop" });
  chat.model.release("last");
  await untilFound(() => chat.model.requests.filter(({ kind }) => kind === "loop").length === 3, "the next request");
  expect(received(chat.model, -1)).toContain("Then stop.");
});
