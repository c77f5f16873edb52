import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { cleanEnv } from "#harness/claude/claude-code.ts";
import type { ScriptedModel, Step } from "#harness/claude/scripted-model.ts";
import { aModel, ClientRig, fail } from "#harness/clients/chat-rig.ts";
import { codex, codexSettings, connectClient, environmentOf, noModel } from "#harness/clients/real-clients.ts";
import { opencode, putProgram, type RealClient, runShim } from "#harness/clients/real-clients.ts";
import type { Native } from "#src/contract/machine/recovery.ts";
import { CLAUDE_VERSION, claudeBinary } from "../../scripts/install-claude.ts";
import { programOf } from "../../scripts/install-clients.ts";

const plugin = join(import.meta.dirname, "..", "..", "plugin");

const drivers: Readonly<Record<string, Pick<RealClient, "command" | "shell">>> = {
  "claude-code": {
    command: (prompt, session) =>
      [claudeBinary(), "-p", prompt, "--allowedTools", "Bash", "--plugin-dir", plugin].concat(
        ["--mcp-config", '{"mcpServers":{}}'],
        session === null ? [] : ["--resume", session],
      ),
    shell: (command) => ({ name: "Bash", input: { command } }),
  },
  codex,
  opencode,
};

/** One machine that has the three clients, with SHIM in each. */
class ThreeClients extends ClientRig {
  constructor() {
    super(codex);
    const config = join(this.home, ".codex", "config.toml");
    const settings = [...codexSettings(noModel, "scripted"), `projects."${this.project}"={trust_level="trusted"}`];
    writeFileSync(config, `${settings.join("\n")}\n${readFileSync(config, "utf8")}`);
    connectClient(opencode, this.#envOf(noModel));
    const bin = join(this.root, "bin");
    putProgram(bin, "claude", { version: CLAUDE_VERSION, words: [claudeBinary()] });
    for (const { pinned } of [codex, opencode])
      putProgram(bin, pinned.name, { version: pinned.version, words: [programOf(pinned)] });
  }

  #envOf(url: string): Record<string, string> {
    const env = { SHIM_HOME: this.paths.home, CLAUDE_CODE_MAX_RETRIES: "0" };
    const ofClaude = cleanEnv({ home: this.home, modelUrl: url, env });
    const all = { ...ofClaude, ...environmentOf(opencode, this, url), ...this.env(url) };
    return { ...all, PATH: `${join(this.root, "bin")}:${all["PATH"]}` };
  }

  /** From the client's start to its end, which must be a good one. */
  async says(client: string, prompt: string, steps: readonly Step[], session: string | null): Promise<ScriptedModel> {
    const model = await aModel({ steps, summary: "<summary>All of it was about fruit.</summary>" });
    const words = drivers[client]?.command(prompt, session, model.url) ?? fail(client);
    await this.ended(this.drive(model, words, this.#envOf(model.url)));
    return model;
  }

  native(id: string, client: string): Native {
    const args = ["resume", id, "--in", client, "--native", "--json"];
    return JSON.parse(runShim(args, { cwd: this.project, env: this.#envOf(noModel) })) as Native;
  }
}

const commands = ["echo r$((1200+34))", "echo r$((5600+78)); exit 3"] as const;
const results = ["r1234", "r5678"];

/** The words of the source, in their order; only the results hold what the commands print. */
const history = ["the word is pear", "I run two.", ...commands, "Ran both.", "and the second is plum", "Noted."];
const clients = Object.keys(drivers);
/** Each client is once the one that is left, and once the one that continues. */
const byDay: Readonly<Record<string, string>> = { "claude-code": "opencode", opencode: "codex", codex: "claude-code" };
const pairs = clients.flatMap((from) =>
  clients.map((into) => [from, into, byDay[from] === into ? "" : " @night"] as const),
);

it.each(pairs)("the first request of a session of %s in %s has its whole conversation%s", async (from, into) => {
  const rig = new ThreeClients();
  const { shell } = drivers[from] ?? fail(from);
  const calls = { text: "I run two.", tools: commands.map(shell) };
  await rig.says(from, "the word is pear", [calls, { text: "Ran both." }], null);
  const { id, transcriptPath } = await rig.begun();
  await rig.says(from, "and the second is plum", [{ text: "Noted." }], id);
  const before = transcriptPath === null ? null : readFileSync(transcriptPath);
  const { made, carried, lost, damages, start } = rig.native(id, into);
  const whole = { prompts: 2, answers: 3, calls: 2, summaries: 0 };
  expect({ carried, lost, damages }).toEqual({ carried: whole, lost: [], damages: 0 });
  expect(start.args.join(" ")).toContain(made);
  const model = await rig.says(into, "go on", [{ text: "I go on." }], made);
  const request = model.requests.find(({ kind }) => kind === "loop") ?? fail("no request");
  const sent = JSON.stringify(request.body).replaceAll(/\\+"/g, "");
  const at = history.map((words) => sent.indexOf(words));
  expect(at, at.includes(-1) ? sent.slice(-6_000) : "").toEqual(at.toSorted((a, b) => a - b));
  expect(at).not.toContain(-1);
  for (const result of results) expect(sent.slice(at[2], at[4])).toContain(result);
  expect(sent).not.toContain("SHIM:");
  expect(transcriptPath === null ? null : readFileSync(transcriptPath)).toEqual(before);
});
