import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { parse, stringify } from "yaml";
import { freePort } from "#harness/edge/edge-runtime.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

/** The files of ops/, and Debian's Prometheus with them. */

export const ops = join(import.meta.dirname, "..", "..", "..", "ops");

interface Target {
  readonly url: string;
  readonly token: string;
}

/** By the name of the job in ops/prometheus/prometheus.yml. */
export type Targets = Readonly<Record<"shim-machine" | "shim-workspace", Target>>;

interface Config {
  global: Record<string, string>;
  scrape_configs: {
    job_name: keyof Targets;
    scheme?: string;
    metrics_path?: string;
    scrape_interval?: string;
    authorization: { credentials_file: string };
    static_configs: { targets: string[] }[];
  }[];
}

/** A copy of ops/prometheus with the tokens that it names. */
export function configFolder(tokens: Readonly<Record<string, string>> = {}): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "secrets"));
  for (const file of ["prometheus.yml", "alerts.yml", "alerts.test.yml"])
    copyFileSync(join(ops, "prometheus", file), join(folder, file));
  for (const name of ["machine-token", "workspace-token"])
    writeFileSync(join(folder, "secrets", name), tokens[name] ?? "a token");
  return folder;
}

/** A checker to its end. */
export function check(command: string, args: readonly string[], cwd = ops, input = ""): { code: number; said: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, input, encoding: "utf8" });
  if (error) throw new Error(`${command} cannot be started (apt-get install prometheus prometheus-alertmanager)`);
  return { code: status ?? -1, said: `${stdout}${stderr}` };
}

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

const patience = { timeout: 120_000, interval: 100 };

/** A Prometheus with the shipped configuration, but for the addresses and the intervals; it ends with the test. */
export class Prometheus {
  readonly url: string;
  readonly #process: ChildProcess;
  #said = "";

  private constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.#process = process;
    process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#said += text));
    onTestFinished(async () => {
      process.kill("SIGKILL");
      if (process.exitCode === null && process.signalCode === null) await once(process, "close");
    });
  }

  /** @returns once it answers */
  static async start(targets: Targets): Promise<Prometheus> {
    const folder = configFolder({
      "machine-token": targets["shim-machine"].token,
      "workspace-token": targets["shim-workspace"].token,
    });
    const path = join(folder, "prometheus.yml");
    const config = parse(readFileSync(path, "utf8")) as Config;
    config.global = { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" };
    for (const job of config.scrape_configs) {
      const { protocol, host, pathname } = new URL(targets[job.job_name].url);
      delete job.scrape_interval;
      Object.assign(job, { scheme: protocol.slice(0, -1), metrics_path: pathname });
      job.static_configs = [{ targets: [host] }];
    }
    writeFileSync(path, stringify(config));
    const address = `127.0.0.1:${await freePort()}`;
    const args = [`--config.file=${path}`, `--storage.tsdb.path=${join(folder, "data")}`];
    const child = spawn("prometheus", [...args, `--web.listen-address=${address}`], { cwd: folder });
    const prometheus = new Prometheus(`http://${address}`, child);
    await vi.waitUntil(() => prometheus.#isReady(), patience);
    return prometheus;
  }

  async #isReady(): Promise<boolean> {
    if (this.#process.exitCode !== null) throw new Error(`prometheus has ended: ${this.#said}`);
    const answer = await fetch(`${this.url}/-/ready`).catch(() => null);
    return answer?.ok ?? false;
  }

  async ask<T>(path: string): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1/${path}`);
    const { status, data, error } = (await answer.json()) as { status: string; data: T; error?: string };
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data;
  }

  /** An instant query. @throws when Prometheus refuses it */
  async query(expr: string): Promise<Series[]> {
    return (await this.ask<{ result: Series[] }>(`query?query=${encodeURIComponent(expr)}`)).result;
  }

  /** The sum of all series; NaN: none. */
  async sum(expr: string): Promise<number> {
    const [one] = await this.query(`sum(${expr})`);
    return Number(one?.value[1] ?? Number.NaN);
  }

  async until(expr: string): Promise<void> {
    await vi
      .waitUntil(async () => (await this.query(expr)).length > 0, patience)
      .catch((error: unknown) => {
        throw new Error(`never true: ${expr}`, { cause: error });
      });
  }
}
