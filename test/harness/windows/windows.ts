import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { windowsNode } from "../../../scripts/install-clients.ts";
import type { Output } from "#harness/machine/programs.ts";

/** What the test asks the driver inside Wine for, and what that says. */
export type Request =
  | {
      readonly do: "start";
      readonly id: number;
      readonly command: string;
      readonly args: readonly string[];
      readonly cwd: string;
      readonly env: Readonly<Record<string, string>>;
      readonly isShell: boolean;
    }
  | { readonly do: "write"; readonly id: number; readonly text: string }
  | { readonly do: "end" | "kill"; readonly id: number };

export type Reply = { readonly id: number } & ({ out: string } | { err: string } | { code: number | null });

export interface Started {
  readonly onOut: (listener: (text: string) => void) => void;
  readonly write: (text: string) => void;
  readonly end: () => void;
  readonly kill: () => void;
  readonly ended: Promise<Output>;
}

export interface Start {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The command is a line for cmd.exe. */
  readonly isShell?: boolean;
}

/** A path of this machine as Windows sees it. */
export function windowsPath(path: string): string {
  return `Z:${path.replaceAll("/", "\\")}`;
}

const root = join(import.meta.dirname, "..", "..", "..");

/** Windows' own Node under Wine, for a file of tests: registry, drive C: and processes of its own, which end with it. */
export class Windows {
  readonly node = windowsPath(windowsNode());
  readonly launcher = windowsPath(join(root, "bin", "shim.mjs"));
  readonly #folder = mkdtempSync(join(tmpdir(), "shim-windows-"));
  readonly #running = new Map<
    number,
    { take: (text: string) => void; printed: Output; end: (output: Output) => void }
  >();
  readonly #env = {
    PATH: "/usr/bin:/bin",
    HOME: this.#folder,
    TMPDIR: tmpdir(),
    WINEPREFIX: join(this.#folder, "prefix"),
    WINEDEBUG: "-all",
    LC_ALL: "C.UTF-8",
    NODE_SKIP_PLATFORM_CHECK: "1",
  };
  #socket: Socket | null = null;
  #lastId = 0;

  /** A folder of drive C: as this machine sees it. */
  get driveC(): string {
    return join(this.#env.WINEPREFIX, "drive_c");
  }

  /** Needs Debian's wine64 and wine. */
  async begin(): Promise<void> {
    this.#wine("wineboot", "-i");
    this.#wine("wine", "reg", "add", String.raw`HKCU\Software\Wine`, "/v", "Version", "/d", "win10", "/f");
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const log = openSync(join(this.#folder, "driver.log"), "a");
    const driver = [
      this.node,
      "--no-warnings",
      windowsPath(join(import.meta.dirname, "driver-child.ts")),
      String(port),
    ];
    spawn("wine", driver, { env: this.#env, cwd: this.#folder, stdio: ["ignore", log, log] });
    [this.#socket] = (await once(server, "connection")) as [Socket];
    server.close();
    createInterface({ input: this.#socket }).on("line", (line) => this.#take(JSON.parse(line) as Reply));
  }

  end(): void {
    this.#socket?.destroy();
    this.#wine("wineserver", "-k");
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  start(command: string, args: readonly string[], { cwd = "C:\\", env = {}, isShell = false }: Start = {}): Started {
    const id = ++this.#lastId;
    const { promise: ended, resolve: end } = Promise.withResolvers<Output>();
    const listeners: ((text: string) => void)[] = [];
    this.#running.set(id, {
      take: (text) => listeners.forEach((listener) => listener(text)),
      printed: { code: null, out: "", err: "" },
      end,
    });
    this.#ask({ do: "start", id, command, args, cwd, env, isShell });
    return {
      ended,
      onOut: (listener) => void listeners.push(listener),
      write: (text) => this.#ask({ do: "write", id, text }),
      end: () => this.#ask({ do: "end", id }),
      kill: () => this.#ask({ do: "kill", id }),
    };
  }

  run(command: string, args: readonly string[], input = "", options: Start = {}): Promise<Output> {
    const started = this.start(command, args, options);
    started.write(input);
    started.end();
    return started.ended;
  }

  #ask(request: Request): void {
    this.#socket?.write(`${JSON.stringify(request)}\n`);
  }

  #take(reply: Reply): void {
    const running = this.#running.get(reply.id);
    if (running === undefined) return;
    const { out, err, code } = running.printed;
    if ("out" in reply) {
      running.printed = { code, out: out + reply.out, err };
      running.take(reply.out);
    } else if ("err" in reply) running.printed = { code, out, err: err + reply.err };
    else running.end({ ...running.printed, code: reply.code });
  }

  #wine(program: string, ...args: string[]): void {
    mkdirSync(this.#folder, { recursive: true });
    execFileSync(program, args, { env: this.#env, stdio: "ignore" });
  }
}
