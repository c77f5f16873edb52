import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { range } from "./figures.ts";
import { scaled } from "./size.ts";

/** Git without the user's settings. */
export const env = { PATH: process.env["PATH"], HOME: "/nonexistent", GIT_CONFIG_GLOBAL: "/dev/null" };
export const limits = { maxFileBytes: 1_048_576, maxTotalBytes: 268_435_456, timeoutMs: 600_000 };
export const files = Math.ceil(scaled(20_000, 400) / 100) * 100;

/** A project of {@link files} small files, without a repository. */
export class LargeProject {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    for (const at of range(200, (n) => n)) mkdirSync(join(folder, `d${at}`), { recursive: true });
    for (const at of range(files, (n) => n)) this.write(at, `export const value${at} = ${at};\n`);
  }

  write(at: number, content: string): void {
    writeFileSync(join(this.folder, `d${at % 200}`, `f${at}.ts`), content.repeat(20));
  }

  git(...args: string[]): string {
    const as = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"];
    return execFileSync("git", ["-C", this.folder, ...as, ...args], { env, encoding: "utf8" });
  }

  commitAll(): void {
    this.git("init", "--quiet", "-b", "main");
    this.git("add", "-A");
    this.git("commit", "--quiet", "-m", "first");
  }
}
