import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { missingText } from "#src/clients/adapter/hook-program.ts";
import type { HookClient } from "#src/contract/clients.ts";
import { clientFiles } from "#src/clients/details.ts";
import { hookCommandLine, ourHandlers, setClaudeHooks, statusLineCommand } from "#src/installer/entries.ts";
import type { Launch } from "#src/platform/shim-command.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { pluginHooks } from "../../../scripts/plugin-files.ts";
import { shimHookScript } from "../../../scripts/programs.ts";

const shells = ["/bin/dash", "/bin/bash", "/bin/zsh", "/bin/busybox"].filter((path) => existsSync(path));

/** The program of hooks: it has its client refuse the call. */
const denial = '{"decision":"block"}';
const program = `process.stdin.resume().on("end", () => console.log(${JSON.stringify(JSON.stringify({ decision: "block" }))}));\n`;

/** The program of the status line. */
const line = "SHIM: not saved yet";
const lineProgram = program.replace(JSON.stringify(denial), JSON.stringify(line));

/** SHIM in a folder, the entries that lead there, and a home without a host. */
class EntryRig {
  readonly folder = join(temporaryFolder(), "Jürgen's $(x) shim");
  readonly dist = join(this.folder, "dist");
  readonly bin = join(this.folder, "..", "bin");
  launch: Launch = {
    node: process.execPath,
    script: join(this.folder, "bin", "shim.mjs"),
    hookScript: join(this.dist, "hook.cjs"),
  };

  constructor(shell = "/bin/sh") {
    write(this.dist, { "shim-hook": shimHookScript(), "hook.cjs": program, "statusline.cjs": lineProgram });
    mkdirSync(this.bin);
    // Some shells behave by the name by which they are started.
    symlinkSync(shell, join(this.bin, "sh"));
  }

  /** A hook as its client starts it: what it prints, and its code. */
  run(client: HookClient, event: string, options?: { uid?: number }): readonly [number | null, string] {
    return this.#start(this.#command(client, event), options);
  }

  /** The status line of Claude Code in the same way. */
  line(options?: { uid?: number }): readonly [number | null, string] {
    const command = statusLineCommand(this.launch, "linux") ?? "";
    return this.#start(["/bin/sh", "-c", command.replace("/bin/sh", join(this.bin, "sh"))], options);
  }

  #start(given: readonly string[], { uid }: { uid?: number } = {}): readonly [number | null, string] {
    const words = given.map((word) => (word === "/bin/sh" ? join(this.bin, "sh") : word));
    const [command = "", ...args] = words;
    const env = { PATH: this.bin, HOME: this.folder, SHIM_HOME: this.folder, CLAUDECODE: "1" };
    const input = '{"session_id":"a","prompt":"it\'s"}';
    const { status, stdout } = spawnSync(command, args, { env, input, encoding: "utf8", cwd: "/", uid });
    return [status, stdout.trim()];
  }

  #command(client: HookClient, event: string): string[] {
    if (client !== "claude-code") {
      const line = hookCommandLine(this.launch, "linux", event, client);
      return ["/bin/sh", "-c", line.replace("/bin/sh", join(this.bin, "sh"))];
    }
    const root = {};
    setClaudeHooks(root, this.launch, { server: null, version: "2.1.332", platform: "linux" });
    const [handler] = ourHandlers(root, event);
    return [String(handler?.["command"]), ...((handler?.["args"] ?? []) as string[])];
  }
}

/** Each way of starting a hook, and the client that takes any failure for a refusal. */
const starts: readonly (readonly [HookClient, string])[] = [
  ["claude-code", "SessionStart"],
  ["claude-code", "UserPromptSubmit"],
  ["codex", "SessionStart"],
  ["copilot", "PreToolUse"],
];

/** What may be missing or broken, and what of it the user learns at the start of a session. */
const faults: Readonly<Record<string, (rig: EntryRig) => { uid?: number } | void>> = {
  "SHIM's folder is gone": (rig) => rmSync(rig.folder, { recursive: true }),
  "a file is in the folder's place": (rig) => {
    rmSync(rig.dist, { recursive: true });
    writeFileSync(rig.dist, "");
  },
  "the script is unreadable": (rig) => {
    chmodSync(join(rig.dist, "shim-hook"), 0);
    for (const path of [rig.folder, join(rig.folder, "..")]) chmodSync(path, 0o755);
    return process.getuid?.() === 0 ? { uid: 65_534 } : {};
  },
  "the script is cut off": (rig) => {
    writeFileSync(join(rig.dist, "shim-hook"), shimHookScript().slice(0, 2_000));
  },
  "the script is something else": (rig) => {
    writeFileSync(join(rig.dist, "shim-hook"), "\u007FELF if then ( fi \n exit 2\n");
  },
  "another build is in its place, whose program ends with 2": (rig) => {
    const script = 'exec "$1" "${0%/*}/hook.cjs" "$2"\n';
    write(rig.dist, { "shim-hook": script, "hook.cjs": "process.stderr.write('no'); process.exitCode = 2;\n" });
  },
  "the programs are gone": ({ dist }) => ["hook.cjs", "statusline.cjs"].forEach((name) => rmSync(join(dist, name))),
  "node is gone": (rig) => {
    rig.launch = { ...rig.launch, node: "/nonexistent/node" };
  },
  "node does not run": (rig) => {
    const node = join(rig.folder, "node");
    writeFileSync(node, "\u007FELF", { mode: 0o755 });
    rig.launch = { ...rig.launch, node };
  },
  "perl and node are gone": (rig) => {
    write(rig.dist, { "shim-hook": shimHookScript().replaceAll("/usr/bin/perl", "/nonexistent/perl") });
    rig.launch = { ...rig.launch, node: "/nonexistent/node" };
  },
  "perl does not run": (rig) => {
    const perl = join(rig.bin, "perl");
    writeFileSync(perl, "#!/nonexistent/loader\n", { mode: 0o755 });
    write(rig.dist, { "shim-hook": shimHookScript().replaceAll("/usr/bin/perl", perl) });
  },
};

it.each(Object.entries(faults))(
  "whatever of SHIM is missing or broken, no hook refuses a client, and the user learns it once a session: %s",
  (_, breaks) => {
    for (const shell of shells) {
      const rig = new EntryRig(shell);
      const options = breaks(rig) ?? {};
      for (const [client, event] of starts) {
        const [code, out] = rig.run(client, event, options);
        expect(code, `${client} ${event} ${shell}`).toBe(0);
        if (event !== "SessionStart") expect(out).toBe("");
        else for (const path of [rig.dist, rig.launch.node]) expect(messageIn(out)).toContain(path);
      }
      expect(rig.line(options), shell).toEqual([0, "SHIM does not work: this chat is not saved"]);
    }
  },
);

function messageIn(answer: string): string {
  const { systemMessage, ...rest } = JSON.parse(answer) as { systemMessage: string };
  expect([systemMessage, rest]).toEqual([expect.stringMatching(/^SHIM does not save this chat: /), {}]);
  return systemMessage;
}

it("where nothing is missing the answer of SHIM reaches the client as it is, in any shell", () => {
  for (const shell of shells) {
    const rig = new EntryRig(shell);
    for (const [client, event] of starts) expect(rig.run(client, event), `${client} ${event}`).toEqual([0, denial]);
    expect(rig.line()).toEqual([0, line]);
  }
});

it("where the node of the entries is gone another one on the PATH starts SHIM", () => {
  for (const hasPerl of [true, false]) {
    const rig = new EntryRig();
    const own = shimHookScript();
    write(rig.dist, { "shim-hook": hasPerl ? own : own.replaceAll("/usr/bin/perl", "/nonexistent/perl") });
    for (const path of ["bin/shim.mjs", "plugin/launch.mjs"]) write(rig.folder, { [path]: readFileSync(path, "utf8") });
    symlinkSync(process.execPath, join(rig.bin, "node"));
    rig.launch = { ...rig.launch, node: "/nonexistent/node" };
    expect([rig.run("codex", "PreToolUse"), rig.line()]).toEqual([
      [0, denial],
      [0, line],
    ]);
  }
});

/** What OpenCode imports. */
async function openCodeFile(
  rig: EntryRig,
): Promise<{ Shim(input: unknown): Promise<Record<string, () => Promise<void>>> }> {
  const hooks = clientFiles.opencode?.hooks;
  const text = hooks?.form === "own" ? hooks.text({ ...rig.launch, commandOf: String }) : "";
  const path = join(rig.bin, "shim.mjs");
  writeFileSync(path, text);
  return (await import(path)) as Awaited<ReturnType<typeof openCodeFile>>;
}

it("OpenCode's plugin file is imported without SHIM, and shows once that nothing is saved", async () => {
  const shown: unknown[] = [];
  const tui = { showToast: ({ body }: { body: { message: string } }) => Promise.resolve(shown.push(body.message)) };
  const [here, gone] = [new EntryRig(), new EntryRig()];
  const plugin = "export const openCodePlugin = (hook) => () => ({ hook });\n";
  write(here.dist, { "opencode-plugin.mjs": plugin });
  const { node, hookScript } = here.launch;
  expect(await (await openCodeFile(here)).Shim({ client: { tui } })).toEqual({ hook: [node, hookScript] });
  const hooks = await (await openCodeFile(gone)).Shim({ client: { tui } });
  expect([Object.keys(hooks), shown]).toEqual([["chat.message"], []]);
  for (let prompts = 0; prompts < 2; prompts++) await hooks["chat.message"]?.();
  expect(shown).toEqual([missingText(join(gone.dist, "opencode-plugin.mjs"), gone.launch.node)]);
});

it("no hook of the plugin fails where the plugin is gone, and the user learns it at the start of a session", () => {
  for (const { hooks } of Object.values(pluginHooks()) as Hooks[])
    for (const [event, [group]] of Object.entries(hooks)) {
      const { command = "", args } = group?.hooks[0] ?? {};
      const [line = "", ...words] = [command, ...(args ?? [])].map((word) =>
        word.replace("${CLAUDE_PLUGIN_ROOT}", "/nonexistent/plug in"),
      );
      for (const shell of args ? [false] : shells.filter((path) => !path.endsWith("busybox"))) {
        const { status, stdout } = spawnSync(line, words, { input: "{}", encoding: "utf8", shell });
        const isSaid = stdout.includes("/nonexistent/plug in/launch.mjs");
        expect([event, status, isSaid], String(shell)).toEqual([event, 0, event === "SessionStart"]);
      }
    }
});

it("the plugin's script starts the plugin's own program where no host runs, and has its answer", () => {
  const { dist, folder } = new EntryRig();
  write(folder, { "launch.mjs": readFileSync("plugin/launch.mjs", "utf8") });
  for (const perl of ["/usr/bin/perl", "/nonexistent/perl"]) {
    write(dist, { "shim-hook": shimHookScript("launch.mjs").replaceAll("/usr/bin/perl", perl) });
    const env = { PATH: `${dirname(process.execPath)}:/bin`, HOME: folder, SHIM_HOME: folder, CLAUDECODE: "1" };
    const { hooks } = pluginHooks()["hooks.json"] as Hooks;
    const line = hooks["PreToolUse"]?.[0]?.hooks[0]?.command ?? "";
    const options = {
      env: { ...env, CLAUDE_PLUGIN_ROOT: folder },
      input: '{"session_id":"a"}',
      encoding: "utf8",
    } as const;
    const { status, stdout } = spawnSync(line, { ...options, shell: "/bin/sh" });
    expect([status, stdout.trim()]).toEqual([0, denial]);
  }
});

interface Hooks {
  readonly hooks: Readonly<
    Record<string, readonly { readonly hooks: readonly { readonly command: string; readonly args?: string[] }[] }[]>
  >;
}
