import { chmodSync, cpSync, readdirSync, renameSync, rmSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Output } from "#harness/machine/programs.ts";
import { WindowsChat } from "#harness/windows/windows-chat.ts";
import { WindowsUser } from "#harness/windows/windows-user.ts";
import { Windows } from "#harness/windows/windows.ts";
import { windowsGit } from "../../scripts/windows-git.ts";

const windows = new Windows();
beforeAll(() => windows.begin());
afterAll(() => windows.end());

/** A user with a git of his own, and a project in it. */
class GitUser extends WindowsUser {
  readonly #git = this.at("git ü");

  constructor(name: string) {
    super(windows, name);
    cpSync(windowsGit(), this.#git, { recursive: true });
    const PATH = `${this.home}\\git ü;C:\\windows\\system32`;
    Object.assign(this.env, { PATH, HOMEDRIVE: "C:", HOMEPATH: this.home.slice(2) });
    const snapshots = { timeoutMs: 120_000 };
    this.write({
      ".gitconfig": "[user]\nname = a\nemail = a@b\n[core]\nautocrlf = true\n",
      "AppData/Local/shim/Data/config.json": JSON.stringify({ snapshots }),
    });
  }

  writeProject(files: Readonly<Record<string, string>>): void {
    this.write(Object.fromEntries(Object.entries(files).map(([name, text]) => [`repo ä/${name}`, text])));
  }

  /** The text of each file of the project, by its path. */
  files(): Record<string, string> {
    const all = readdirSync(this.at("repo ä"), { recursive: true, withFileTypes: true });
    const paths = all.filter((one) => one.isFile()).map((one) => `${one.parentPath}/${one.name}`);
    const own = paths
      .map((path) => path.slice(this.at("repo ä").length + 1))
      .filter((path) => !path.startsWith(".git/"));
    return Object.fromEntries(own.toSorted().map((path) => [path, this.read(`repo ä/${path}`)]));
  }

  async git(...words: string[]): Promise<void> {
    const ran = await windows.run(`${this.home}\\git ü\\git.exe`, words, "", { cwd: this.project, env: this.env });
    expect(ran, words.join(" ")).toMatchObject({ code: 0 });
  }

  /** While git is gone no reading of the project takes long, and one that is unchanged is known without it. */
  async turn(chat: WindowsChat, prompt: string, work: () => void): Promise<void> {
    renameSync(this.#git, `${this.#git} away`);
    await chat.event("UserPromptSubmit", { prompt });
    await chat.call("Bash", { command: "do it" }, work);
    renameSync(`${this.#git} away`, this.#git);
    await chat.event("Stop");
  }

  undo(...words: string[]): Promise<Output> {
    return this.node([windows.launcher, "undo", ...words]);
  }
}

it("[Windows] what a turn made, changed, renamed and removed is taken back byte for byte, and made again, by a git of Windows @night", async () => {
  const user = new GitUser("Git");
  user.writeProject({ "a.txt": "one\r\ntwo\r\n", "sub ü/b.txt": "b\r\n", "read.txt": "r\r\n", "gone.txt": "gone\r\n" });
  await user.git("init", "-q");
  await user.git("add", "-A");
  await user.git("commit", "-qm", "first");
  user.writeProject({ "Name.txt": "name\r\n" });
  // As some editors write the folder.
  const chat = new WindowsChat(user, "a-chat", user.project.replace("C:", "c:"));
  await chat.event("SessionStart", { source: "startup" });
  await user.turn(chat, "begin", () => user.writeProject({ "first.txt": "first\r\n" }));
  // Waits until the files are saved.
  await user.undo();
  const before = user.files();
  await user.turn(chat, "change all", () => {
    user.writeProject({
      "a.txt": "one\r\nthree\r\n",
      "sub ü/b.txt": "B\n",
      "neu ü/c.txt": "c\r\n",
      "read.txt": "R\r\n",
    });
    chmodSync(user.at("repo ä", "read.txt"), 0o444);
    rmSync(user.at("repo ä", "gone.txt"));
    renameSync(user.at("repo ä", "Name.txt"), user.at("repo ä", "name.TXT"));
  });
  const after = user.files();
  expect(await user.undo("--yes")).toMatchObject({ code: 0, err: "" });
  expect(user.files()).toEqual(before);
  expect(await user.undo("--redo", "--yes")).toMatchObject({ code: 0, err: "" });
  expect(user.files()).toEqual(after);
});

it("[Windows] a home that is in git is no project: nothing of it is saved @night", async () => {
  const user = new GitUser("Home");
  await windows.run(`${user.home}\\git ü\\git.exe`, ["init", "-q"], "", { cwd: user.home, env: user.env });
  const chat = new WindowsChat(user, "a-chat", user.home);
  await chat.event("SessionStart", { source: "startup" });
  await user.turn(chat, "begin", () => user.write({ "first.txt": "first\r\n" }));
  const ran = await windows.run(windows.node, [windows.launcher, "undo", "--session", "a-chat"], "", {
    cwd: user.home,
    env: user.env,
  });
  expect(JSON.stringify(ran)).toContain("is the home folder, not a project");
});
