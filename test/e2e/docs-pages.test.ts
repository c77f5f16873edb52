import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { pathsIn, type Paths } from "../../src/local-mcp/paths.ts";
import { git, write } from "../support/git-project.ts";
import { answered, built, startServer } from "../support/mcp-process.ts";
import { EdgeRuntime } from "../support/edge-runtime.ts";

const root = join(import.meta.dirname, "..", "..");
const example = "https://shim.example.workers.dev";

interface Block {
  /** Of which machine; the first where the page does not say. */
  readonly machine: string;
  readonly lines: readonly string[];
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, "docs", page), "utf8");
  return [...text.matchAll(/^```sh(?: (\w+))?\n([\s\S]*?)^```$/gm)].map(([, machine = "first", lines = ""]) => {
    return { machine, lines: lines.trim().split("\n") };
  });
}

/** A machine of its own: a home, SHIM's folder, a clone of the project, and a chat that was killed in it. */
class Machine {
  readonly home: string;
  readonly project: string;
  readonly paths: Paths;

  constructor(folder: string, name: string, origin: string) {
    this.home = join(folder, name);
    this.project = join(this.home, "project");
    this.paths = pathsIn(join(this.home, "shim"));
    mkdirSync(join(this.home, "bin"), { recursive: true });
    mkdirSync(join(this.home, ".claude"));
    writeFileSync(join(this.home, "bin", "shim"), `#!/bin/sh\nexec "${process.execPath}" "${built.launcher}" "$@"\n`, {
      mode: 0o755,
    });
    git(folder, "clone", "-q", origin, this.project);
  }

  async loseAChat(goal: string): Promise<string> {
    const server = await startServer(this.paths);
    const { project } = this;
    const { session } = await answered(server, "shim_force_checkpoint", { goal, project, nextStep: "the next step" });
    server.process.kill("SIGKILL");
    await server.ended;
    return String(session);
  }

  /** @returns what the lines have said; any that fails fails the test */
  run(lines: readonly string[], env: Record<string, string>): string {
    const { status, stdout, stderr } = spawnSync("bash", ["-euo", "pipefail", "-c", lines.join("\n")], {
      cwd: this.project,
      encoding: "utf8",
      env: {
        PATH: [join(this.home, "bin"), process.env["PATH"]].join(delimiter),
        HOME: this.home,
        SHIM_HOME: this.paths.home,
        NO_COLOR: "1",
        ...env,
      },
    });
    expect(status, `${lines.join("\n")}\n${stdout}${stderr}`).toBe(0);
    return stdout;
  }
}

function aFolder(): { folder: string; origin: string } {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "shim-pages-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const origin = join(folder, "origin");
  mkdirSync(origin);
  git(origin, "init", "-q", "-b", "main");
  write(origin, { "one.ts": "export {};\n" });
  git(origin, "add", ".");
  git(origin, "commit", "-q", "-m", "start");
  return { folder, origin };
}

function filled(lines: readonly string[], values: Readonly<Record<string, string>>): string[] {
  return lines.map((line) => {
    const text = Object.entries(values).reduce((all, [name, value]) => all.replaceAll(name, value), line);
    expect(text).not.toMatch(/<\w+>/);
    return text;
  });
}

it("[CL64] what the page for one machine shows works as it stands there", async () => {
  const { folder, origin } = aFolder();
  const machine = new Machine(folder, "one", origin);
  const session = await machine.loseAChat("make the parser accept comments");
  const dismissed = await machine.loseAChat("something else");
  const stored = machine.run(["shim checkpoints --json"], {});
  const { checkpoints } = JSON.parse(stored) as { checkpoints: { id: string; sessionId: string }[] };
  const checkpoint = checkpoints.find((one) => one.sessionId === session)?.id ?? "";
  for (const { lines } of blocksOf("one-machine.md")) {
    const isDismissing = lines.some((line) => line.includes("--dismiss"));
    const values = { "<session>": isDismissing ? dismissed : session, "<checkpoint>": checkpoint };
    machine.run(filled(lines, values), {});
  }
});

it("[CL64] what the page for two machines shows works as it stands there, at a coordinator under workerd", async () => {
  const { folder, origin } = aFolder();
  const edge = await EdgeRuntime.open();
  const machines = { first: new Machine(folder, "desktop", origin), second: new Machine(folder, "laptop", origin) };
  const session = await machines.first.loseAChat("make the parser accept comments");
  let token = "";
  for (const { machine, lines } of blocksOf("two-machines.md")) {
    const at = machines[machine as keyof typeof machines];
    // The way of a stick, or of scp.
    if (machine === "second") carry(machines);
    if (lines.some((line) => line.includes("<token>"))) token = tokenOf(machines.first);
    const values = { [example]: edge.url, "<session>": session, "<token>": token };
    at.run(filled(lines, values), { SHIM_ADMIN_SECRET: edge.adminSecret });
  }
});

function carry({ first, second }: { first: Machine; second: Machine }): void {
  const note = join(first.project, "laptop.txt");
  try {
    writeFileSync(join(second.project, "laptop.txt"), readFileSync(note));
  } catch {
    // Not written yet, or carried over before.
  }
}

function tokenOf(machine: Machine): string {
  const listed = machine.run(["shim edge token list --json"], {});
  const { tokens } = JSON.parse(listed) as { tokens: { id: string; machine: string }[] };
  return tokens.find((one) => one.machine === "laptop")?.id ?? "";
}
