import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { readConversation } from "#src/clients/read-conversation.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { fakeOpenCode, filesOf, invented, known, writeSession } from "#harness/clients/invented-sessions.ts";
import { aCliHome, addSession, failed, holding, printed, type CliHome } from "#harness/machine/cli-home.ts";

interface Made {
  readonly made: string;
  readonly file: string | null;
  readonly carried: object;
  readonly lost: readonly object[];
  readonly start: object;
}

/** A session that its client has written, and whose process is gone. @returns its id */
function aSession(home: CliHome, client: string, more: readonly object[] = []): string {
  if (client === "opencode") {
    const id = "ses_deadb5e3effe5J6ePB0OODywj2";
    fakeOpenCode(home.folder, id);
    addSession(home, { id, client, pid: 77 });
    return id;
  }
  const session = invented(client, home.project);
  const rows = more.map((row) => Object.assign({}, session.rows[0], row));
  writeSession(home.folder, session, [...session.rows, ...rows]);
  known(home, session);
  return session.id;
}

async function native(home: CliHome, id: string, client: string): Promise<Made> {
  return (await home.json(`resume ${id} --in ${client} --native`)) as unknown as Made;
}

async function readMade(home: CliHome, { file }: Made) {
  const read = await readConversation(file ?? join(home.folder, "imported.json"), openNodeSqlite);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

const targets = ["claude-code", "codex", "opencode"];
const pairs = ["claude-code", "codex", "opencode", "copilot", "qwen", "gemini"].flatMap((from) =>
  targets.map((into) => [from, into] as const),
);

it.each(pairs)("a session of %s is a session of %s too, and stays as it is", async (from, into) => {
  const home = aCliHome();
  const id = aSession(home, from);
  if (from !== "opencode") fakeOpenCode(home.folder, null);
  const before = filesOf(home);
  const made = await native(home, id, into);
  const text = JSON.stringify((await readMade(home, made)).items);
  expect(text).toContain("the word is pear");
  if (from !== "codex") expect(text).toContain(from === "opencode" ? "Noted." : "Ran one.");
  expect(made.start).toMatchObject({ kind: "resume", newId: made.made, cwd: home.project });
  const added = [...filesOf(home)].filter(([name]) => !before.has(name));
  expect(added.filter(([, bytes]) => bytes !== null)).toHaveLength(into === "opencode" ? 0 : 1);
  expect([...filesOf(home)].filter(([name]) => before.has(name))).toEqual([...before]);
});

it("in a terminal the client is started by its resume command, and the session is its new one's", async () => {
  const home = aCliHome();
  const id = aSession(home, "claude-code");
  const terminal: Partial<Io> = { isTty: true, isInteractive: true };
  const startProcess: Io["startProcess"] = async (start) => {
    home.started.push(start);
    addSession(home, { id: start.args[1] ?? "", client: "codex", pid: 700 });
    return 0;
  };
  const ran = await home.shimWith({ ...terminal, startProcess }, `resume ${id} --in codex --native`);
  expect(ran).toMatchObject({ code: 0, err: holding(`the conversation of ${id}, which stays as it is`) });
  const [{ command, args, env }] = home.started as [(typeof home.started)[0]];
  expect([command, args[0], env]).toEqual(["codex", "resume", { SHIM_SUCCESSOR: args[1] }]);
  expect(home.runtime.store.read((sql) => sessions.get(sql, id), null)).toMatchObject({ recoveryBy: args[1] });
});

const message = (role: string, content: unknown) => ({
  type: role,
  message: { role, content, id: "m9", model: "m1" },
  timestamp: "2026-11-25T11:00:00.000Z",
});

it("the answer counts what is not carried over, what could not be read and what is redacted", async () => {
  const home = aCliHome();
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "" } };
  const secret = "ghp_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5";
  const id = aSession(home, "claude-code", [
    { uuid: "a1", ...message("user", [{ type: "text", text: `my token is ${secret}` }, image]) },
    { uuid: "a2", ...message("assistant", [{ type: "thinking", thinking: "hm" }]) },
    { uuid: "a3", ...message("assistant", [{ type: "tool_use", id: "t9", name: "Grep", input: { pattern: secret } }]) },
  ]);
  const { transcriptPath } = home.runtime.store.read((sql) => sessions.get(sql, id), null) ?? {};
  const text = readFileSync(transcriptPath ?? "", "utf8");
  writeFileSync(transcriptPath ?? "", `${text}{"type":"user","mess\n`);
  const ran = await home.shim(`resume ${id} --in codex --native`);
  expect(ran).toMatchObject(
    printed(
      "2 prompts, 1 answer, 2 calls with results.",
      "Not carried over: 1 image, 1 thought, 1 result that was never recorded.",
      "1 part of its transcript could not be read or is missing.",
      "Codex has no such tools, so their calls keep the names: Grep (1).",
      "2 secret or private texts are left out.",
      "To continue it, in ",
      ": codex resume ",
    ),
  );
  const written = [...filesOf(home)].find(([name]) => name.startsWith(".codex/") && name.endsWith(".jsonl"))?.[1];
  const content = Buffer.from(written ?? "", "base64").toString();
  expect(content).not.toContain(secret);
  expect(content).toContain("my token is [redacted:");
});

it("what cannot be done is refused, with why and with the command that takes the brief", async () => {
  const home = aCliHome();
  const id = aSession(home, "claude-code");
  expect(await home.shim(`resume ${id} --in qwen --native`)).toMatchObject(
    failed(
      2,
      "Claude Code, Codex and OpenCode, and none of Qwen Code",
      /`shim resume \w+ --in qwen`, without --native/,
    ),
  );
  const absent: Partial<Io> = { versionOf: () => null };
  expect(await home.shimWith(absent, `resume ${id} --in codex --native`)).toMatchObject(
    failed(1, "`codex` cannot be started: install Codex first", "--in codex`, without --native"),
  );
  const { transcriptPath } = home.runtime.store.read((sql) => sessions.get(sql, id), null) ?? {};
  const rows = readFileSync(transcriptPath ?? "", "utf8");
  writeFileSync(transcriptPath ?? "", "\0".repeat(400));
  expect(await home.shim(`resume ${id} --in codex --native`)).toMatchObject(failed(1, "it is not a transcript of"));
  rmSync(transcriptPath ?? "");
  expect(await home.shim(`resume ${id} --in codex --native`)).toMatchObject(failed(1, "no transcript of it is there"));
  expect(await home.shim(`resume ${id} --print --native`)).toMatchObject(failed(2, "give one of them"));
  writeFileSync(transcriptPath ?? "", rows);
  home.alive.add(77);
  expect((await home.shim(`resume ${id} --in claude-code --native`)).code).not.toBe(0);
  expect([...filesOf(home).keys()].filter((name) => name.startsWith(".codex/"))).toEqual([]);
});
