import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { git, temporaryFolder } from "#harness/machine/git-project.ts";

const root = join(import.meta.dirname, "..", "..");
const timeout = 200_000;

/** The tracked files as they are now, with the packages of `npm ci` and nothing built. */
function freshClone(): string {
  const clone = temporaryFolder();
  for (const path of git(root, "ls-files", "-z").split("\0").filter(Boolean)) {
    mkdirSync(dirname(join(clone, path)), { recursive: true });
    cpSync(join(root, path), join(clone, path));
  }
  symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
  return clone;
}

/** What runs before a test may be npm itself, whose settings would lead back to this clone. */
function cleanEnv(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("npm_"));
  return {
    ...Object.fromEntries(inherited),
    HOME: temporaryFolder(),
    npm_config_offline: "true",
    npm_config_update_notifier: "false",
    WRANGLER_HIDE_BANNER: "true",
    WRANGLER_SEND_METRICS: "false",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
  };
}

it("after `npm ci` alone `npx wrangler deploy --dry-run` finds the Worker and the live page @night", async () => {
  const options = { cwd: freshClone(), env: cleanEnv(), timeout };
  const { stdout } = await promisify(execFile)("npx", ["wrangler", "deploy", "--dry-run"], options);
  expect(stdout).toMatch(/Read [1-9]\d* files from the assets directory/);
  expect(stdout).toContain("env.COORDINATOR (ChatCoordinator)");
});

it("after `npm ci` alone `npx wrangler dev` serves the coordinator and its live page @night", async () => {
  const args = ["wrangler", "dev", "--ip", "127.0.0.1", "--port", "0", "--inspector-port", "0"];
  const stdio = ["ignore", "pipe", "pipe"] as const;
  const dev = spawn("npx", args, { cwd: freshClone(), env: cleanEnv(), stdio: [...stdio], detached: true });
  const ended = once(dev, "close");
  onTestFinished(async () => {
    if (dev.exitCode === null) process.kill(-(dev.pid ?? Number.NaN), "SIGKILL");
    await ended;
  });
  let printed = "";
  dev.stderr.on("data", (text: Buffer) => (printed += text.toString()));
  const url = new Promise<string>((resolve) => {
    createInterface({ input: dev.stdout }).on("line", (line) => {
      printed += `${line}\n`;
      const address = /Ready on (?<url>http:\S+)/.exec(line)?.groups?.["url"];
      if (address) resolve(address);
    });
  });
  const served = await Promise.race([url, ended.then(() => Promise.reject(new Error(printed)))]);
  const health = await fetch(`${served}/health`);
  expect([health.status, await health.json()]).toEqual([200, expect.objectContaining({ protocol: 1 })]);
  const page = await fetch(served);
  expect([page.status, await page.text()]).toEqual([200, expect.stringMatching(/<script[^>]* src="[^"]*app-/)]);
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
});
