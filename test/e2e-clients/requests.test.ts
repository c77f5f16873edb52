import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { untilFound, watch } from "#harness/claude/claude-code.ts";
import { aModel, ClientRig } from "#harness/clients/chat-rig.ts";
import { codex, codexSettings, opencode, qwen, type RealClient } from "#harness/clients/real-clients.ts";
import { write } from "#harness/machine/git-project.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import { programOf } from "../../scripts/install-clients.ts";

const prompt = "make the file";

/** A client in a terminal, which asks before it runs a command. */
const asking: readonly { readonly client: RealClient; readonly words: (url: string) => string[] }[] = [
  {
    client: codex,
    words: (url) => {
      const settings = codexSettings(url, "scripted").filter((one) => !/^(?:approval_policy|sandbox_mode)/.test(one));
      const own = [...settings, 'approval_policy="on-request"', 'sandbox_mode="workspace-write"'];
      return [programOf(codex.pinned), ...own.flatMap((one) => ["-c", one]), prompt];
    },
  },
  { client: qwen, words: () => [process.execPath, programOf(qwen.pinned), "-i", prompt] },
  { client: opencode, words: () => [programOf(opencode.pinned), "--prompt", prompt] },
];

const config = ".config/opencode/opencode.json";
const asks = { ...opencode.files[config], permission: { bash: "ask" } };

it.each(asking.map((one) => [one.client.name, one] as const))(
  "%s in its terminal: a command is denied from elsewhere while its hook is held, and does not run",
  async (name, { client, words }) => {
    const rig = new ClientRig({
      ...client,
      files: { ...client.files, ...(name === "opencode" && { [config]: asks }) },
    });
    write(rig.paths.home, { "config.json": JSON.stringify({ answers: { isEnabled: true, holdDialogSeconds: 50 } }) });
    const { name: tool, input } = client.shell("touch one.txt");
    // In Codex the model says which command needs leave.
    const own = name === "codex" && { sandbox_permissions: "require_escalated", justification: "May it be made?" };
    const model = await aModel({
      steps: [{ tools: [{ name: tool, input: { ...input, ...own } }] }, { text: "Done." }],
    });
    const line = words(model.url)
      .map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
      .join(" ");
    const child = spawn("script", ["-qefc", `stty cols 150 rows 50; exec ${line}`, "/dev/null"], {
      cwd: rig.project,
      env: { ...rig.env(model.url), TERM: "xterm-256color", SHELL: "/bin/sh" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    // A terminal answers where its cursor is and what it is.
    child.stdout.on("data", (text: Buffer) => {
      if (text.includes("\u001B[6n")) child.stdin.write("\u001B[1;1R");
      if (text.includes("\u001B[c")) child.stdin.write("\u001B[?62;c");
      if (text.includes("Trust and continue")) child.stdin.write("\r");
    });
    child.stdin.on("error", () => undefined);
    const terminal = watch(child);
    onTestFinished(() => terminal.kill("SIGKILL"));
    const screen = (): string => stripVTControlCharacters(terminal.output.stdout).slice(-3_000);
    const list = () => JSON.parse(rig.shim("requests", "--json")) as MachineOutput<"requests.list">;
    const { id } = await untilFound(
      () => list().requests.find(({ canAnswer }) => canAnswer),
      () => `a request: ${screen()}`,
    );
    rig.shim("requests", "answer", id, "deny", "--message", "Not this one.");
    await untilFound(
      () => list().answers?.some(({ outcome }) => outcome !== "sent"),
      () => `an outcome: ${screen()}`,
    );
    const [given] = list().answers ?? [];
    expect([given?.decision, given?.outcome, existsSync(rig.path("one.txt"))]).toEqual(["deny", "taken", false]);
  },
);
