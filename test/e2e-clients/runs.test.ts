import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { claudeTerminal, terminalClients, type TerminalClient } from "#harness/clients/terminal-clients.ts";
import { TerminalRig } from "#harness/clients/terminal-rig.ts";
import { write } from "#harness/machine/git-project.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";

/** A machine on which clients may be started in the project. */
async function allowing(client: TerminalClient) {
  const rig = await TerminalRig.open(client);
  const runs = [{ project: rig.project }];
  write(rig.paths.home, { "config.json": JSON.stringify({ answers: { isEnabled: true }, runs }) });
  const json = (...words: readonly string[]): unknown => JSON.parse(rig.shim(...words, "--json"));
  const list = () => (json("runs") as MachineOutput<"runs.list">).runs;
  const start = (...words: readonly string[]) => json("runs", "start", ...words) as MachineOutput<"runs.start">;
  /** Resolves once the run has ended. */
  const over = (run: string) =>
    untilFound(
      () => list().find((one) => one.run === run && one.state !== "runs"),
      () => `the end of ${run} in ${JSON.stringify(list())}`,
    );
  return { rig, json, list, start, over };
}

it.each(terminalClients.map((client) => [client.name, client] as const))(
  "%s: the host begins a chat without a terminal, and continues it with all that was said",
  async (name, client) => {
    const { rig, start, over } = await allowing(client);
    const begun = start("--project", rig.project, "--client", name, "the first words");
    expect(await over(begun.run)).toMatchObject({ state: "done" });
    const [chat] = rig.chats();
    const session = chat?.id ?? "";
    const more = start("--session", session, "the second words");
    expect(more).toMatchObject({ session, isContinued: true });
    expect(await over(more.run)).toMatchObject({ state: "done", session });
    expect(await rig.received("the second words")).toContain("the first words");
    expect(rig.chats().map(({ id }) => id)).toEqual([session]);
  },
);

const touch = (file: string) => ({ tools: [claudeTerminal.asking(`touch ${file}`)] });

it.each(terminalClients.filter((client) => client !== claudeTerminal).map((client) => [client.name, client] as const))(
  "%s: a run of the host asks nobody, and does not what its user was not asked for",
  async (name, client) => {
    const { rig, json, start, over } = await allowing(client);
    rig.answers("make the file", [{ tools: [client.asking("touch one.txt")] }]);
    const { run } = start("--project", rig.project, "--client", name, "make the file");
    expect(await over(run)).not.toMatchObject({ state: "stopped" });
    const { requests } = json("requests") as MachineOutput<"requests.list">;
    expect([existsSync(rig.path("one.txt")), requests]).toEqual([false, []]);
  },
);

it("Claude Code: a run of the host asks its user elsewhere, is stopped, and leaves no process", async () => {
  const { rig, json, start, over, list } = await allowing(claudeTerminal);
  rig.answers("make the files", [touch("one.txt"), touch("two.txt")]);
  const { run } = start("--project", rig.project, "--client", "claude-code", "make the files");
  const asked = (file: string) =>
    untilFound(
      () => (json("requests") as MachineOutput<"requests.list">).requests.find(({ text }) => text.includes(file)),
      () => `a request for ${file}: ${JSON.stringify(list())}`,
    );
  json("requests", "answer", (await asked("one.txt")).id, "allow");
  await untilFound(() => existsSync(rig.path("one.txt")), "the file");
  await asked("two.txt");
  json("runs", "stop", run);
  expect(await over(run)).toMatchObject({ state: "stopped" });
  expect(rig.processes().filter(({ command }) => command.includes("--session-id"))).toEqual([]);
  expect(existsSync(rig.path("two.txt"))).toBe(false);
});
