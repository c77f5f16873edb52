import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { git, write } from "./git-project.ts";
import { answered, built, startServer, storeOf } from "./mcp-process.ts";

/** A machine of its own: a home, SHIM's folder, a command `shim`, and a clone of the project. */
export class MachineHome {
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
    const store = storeOf(this.paths);
    const isTaken = (): boolean =>
      store.read(
        (sql) => sql.all("SELECT 1 FROM snapshots WHERE session_id = ? AND state = 'done'", String(session)),
        [],
      ).length > 0;
    await untilFound(() => isTaken() || null, "the files of the checkpoint");
    server.process.kill("SIGKILL");
    await server.ended;
    return String(session);
  }

  /** @returns what the lines have said; any that fails fails the test. Not at once: a proxy of the test may have to work meanwhile */
  async run(lines: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const child = spawn("bash", ["-eo", "pipefail", "-c", lines.join("\n")], {
      cwd: this.project,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: [join(this.home, "bin"), process.env["PATH"]].join(delimiter),
        HOME: this.home,
        SHIM_HOME: this.paths.home,
        NO_COLOR: "1",
        ...env,
      },
    });
    const said = { out: "", err: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text));
    const [code] = (await once(child, "close")) as [number | null];
    expect(code, `${lines.join("\n")}\n${said.out}${said.err}`).toBe(0);
    return said.out;
  }
}

/** A folder for machines, and the repository that they clone. Gone after the test. */
export function aFolder(): { folder: string; origin: string } {
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
