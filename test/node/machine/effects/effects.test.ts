import * as fc from "fast-check";
import { chmodSync, readFileSync, existsSync } from "node:fs";
import { expect, it } from "vitest";
import { aChat, anotherClaude, stateOf, type Claude, type Printed } from "#harness/machine/claude.ts";
import { GIT_ENV, git, makeProject, temporaryFolder, write } from "#harness/machine/git-project.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";
import { codex, printedIn } from "#src/clients/codex/codex.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { EffectRun } from "#src/contract/work-state.ts";
import { withEffects } from "#src/machine/sessions/effects.ts";
import { noteEntries } from "#src/machine/sessions/hook-entries.ts";
import { probe } from "#src/machine/sessions/effects/probe.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import type { EffectCommand } from "#src/contract/effects.ts";
import { deedsOf, noteCall } from "#src/machine/sessions/call-notes.ts";
import { qwen } from "#src/clients/qwen/qwen.ts";
import { spawnSync } from "node:child_process";
import { killFigures } from "#harness/effects/kill-model.ts";

const findEffects = (tool_name: string, tool_input: unknown, own?: readonly EffectCommand[]) =>
  deedsOf({ tool_name, tool_input }, own).effects;

const push = { command: "git push origin main" };

function outcomes(runtime: TempRuntime, session: string): string[] {
  return (stateOf(runtime, session)?.effects ?? []).map(({ command, outcome }) => `${command}: ${outcome ?? "open"}`);
}

it("done, failed, or unknown: by the end of the call, and never by a mention", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("release it");
  claude.use("Bash", { command: "echo git push" });
  claude.use("Bash", push);
  claude.fail("Bash", { command: "npm publish" }, "Exit code 1\nnpm error code E403");
  claude.fail("Bash", { command: "git push --tags && vercel deploy" }, "Exit code 1\n! [rejected]");
  claude.use("Bash", { command: "fly deploy; echo ok" });
  claude.fail("Bash", { command: "terraform apply" }, "Command timed out after 2m 0s");
  claude.begin("Bash", { command: "alembic upgrade head" });
  claude.kill();
  expect(outcomes(runtime, claude.session)).toEqual([
    "git push origin main: done",
    "npm publish: failed",
    "git push --tags: unknown",
    "vercel deploy: failed",
    "fly deploy: unknown",
    "terraform apply: unknown",
    "alembic upgrade head: open",
  ]);
  const brief = anotherClaude(runtime, claude).start();
  for (const line of [
    "what cannot be undone, newest first, of 7",
    "alembic upgrade head: unknown (no end of it was seen); to find out: alembic current",
    "terraform apply (commit a1a1a1a1a1a1): unknown (its call did not end well: Command timed out",
    "fly deploy (commit a1a1a1a1a1a1): unknown (its call ended, and what ended it does not show it)",
    "vercel deploy (commit a1a1a1a1a1a1): FAILED: Exit code 1 ! [rejected]",
  ])
    expect(brief).toContain(line);
});

it.each([
  ["unknown", "ok"],
  ["done", "Process exited with code 0\nOutput:\nok"],
  ["done", [{ type: "input_text", text: "Exit code: 0\nOutput:\nok" }]],
])("of a client that hides failures only the exit code in its event decides: %s by %j", (outcome, tool_response) => {
  const { runtime, claude } = aChat();
  const call = { tool_name: "Bash", tool_input: push, tool_use_id: "c1", tool_response };
  const input = JSON.stringify({ session_id: "codex-1", cwd: claude.cwd, ...call });
  for (const event of ["PreToolUse", "PostToolUse"]) answerHook(runtime, event, () => input, claude.pid, codex);
  expect(outcomes(runtime, "codex-1")).toEqual([`git push origin main: ${outcome}`]);
});

const pushed = "To github.com:x/harbour.git\n   c0588bd..36bbb34  main -> main\n";
const rejected = "To github.com:x/harbour.git\n ! [rejected]        main -> main (fetch first)\nerror: failed to push";
const fetched = "From github.com:x/harbour\n   c0588bd..36bbb34  main       -> origin/main\n";
const pullUrl = "https://github.com/x/harbour/pull/7";

it.each<[outcome: string, command: string, printed: string]>([
  ["done", "git push origin main", pushed],
  ["done", "git push | tail -1", "c0588bd..36bbb34  main -> main"],
  ["done", "git push; ls", ` * [new branch]      main -> main\nboats`],
  ["done", "git pull && git push && npm test || true", `${fetched}${pushed}1 failed`],
  ["done", "git push -f; true", " + c0588bd...36bbb34 main -> main (forced update)"],
  ["done", "git push origin :old; true", " - [deleted]         old"],
  ["done", "git push; true", "\u001B[32mEverything up-to-date\u001B[0m"],
  ["failed", "git push || true", rejected],
  ["unknown", "git pull; git push", fetched],
  ["unknown", "git push a main; git push b main", pushed],
  ["unknown", "git push a main; git push b main", `${pushed}${rejected}`],
  ["done", "git push a main; git push b main", `${pushed}${pushed}`],
  ["done", "npm publish; true", "npm notice\n+ @x/harbour@1.2.0"],
  ["failed", "npm publish || true", "npm error code E403\nnpm error 403"],
  ["done", "gh pr create --fill; ls", `${pullUrl}\nboats`],
  [
    "unknown",
    "gh pr create --fill; ls",
    `a pull request for branch "b" into branch "main" already exists:\n${pullUrl}`,
  ],
  ["unknown", "gh pr merge 7; gh pr view 7 --json url --jq .url", pullUrl],
  ["done", "gh release create v1; ls", "https://github.com/x/harbour/releases/tag/v1"],
])("an outcome that the output proves is known: %s of %s", (outcome, command, printed) => {
  const { runtime, claude } = aChat();
  const call = { tool_name: "Bash", tool_input: { command }, tool_use_id: "c1", tool_response: printed };
  const input = JSON.stringify({ session_id: "codex-1", cwd: claude.cwd, ...call });
  for (const event of ["PreToolUse", "PostToolUse"]) answerHook(runtime, event, () => input, claude.pid, codex);
  const known = stateOf(runtime, "codex-1")?.effects?.map((run) => run.outcome);
  expect([...new Set(known)]).toEqual([outcome]);
});

it("a push of a call that failed later, and one that Claude Code itself names, are done", () => {
  const { runtime, claude } = aChat();
  claude.fail("Bash", { command: "git push && npm test" }, `Exit code 1\n${pushed}1 test failed`);
  claude.use("Bash", { command: "git push b main; ls" }, { stdout: "a", gitOperation: { push: { branch: "main" } } });
  expect(outcomes(runtime, claude.session)).toEqual(["git push: done", "git push b main: done"]);
});

it.each<[string, string, string]>([
  ["done", "Process exited with code 0\nOutput:\nok", "git push a main"],
  ["failed", "Process exited with code 3\nOutput:\nno", "git push a main"],
  ["unknown", "Process exited with code 143\nOutput:\n", "git push a main"],
  ["done", `Process exited with code 1\nOutput:\n${pushed}`, "git push a main"],
])("a command that runs on in the background has the outcome of its end: %s", (outcome, output, command) => {
  const entries: JournalEntry[] = [
    { kind: "tool_start", id: "c1", name: "Bash", input: command, effects: [{ kind: "push", command, shows: "all" }] },
    { kind: "tool_end", id: "c1", name: "Bash", input: command, background: "session-5" },
  ];
  const note = { kind: "ended", id: "session-5", response: printedIn(output), at: 1 } as const;
  const ended = noteEntries(note).map(({ entry }) => entry);
  const runs = [entries, [...entries, ...ended]].map((all) =>
    all.reduce<readonly EffectRun[]>((known, one) => withEffects(known, 1, one), []),
  );
  expect(runs.map(([run]) => run?.outcome)).toEqual([undefined, outcome]);
});

it("the probe of a push compares the remote reference with its commit", async () => {
  const { root, project: clone } = makeProject({ "a.txt": "a" });
  git(root, "init", "-q", "--bare", "-b", "main", "remote");
  git(clone, "remote", "add", "origin", "../remote");
  const head = git(clone, "rev-parse", "HEAD").trim();
  const note = { kind: "push", command: "git push -u origin HEAD", subject: head, branch: "main" } as const;
  const where = { env: GIT_ENV, project: clone };
  expect(await probe(note, where)).toEqual({ isThere: false, text: "origin has no main" });
  git(clone, "push", "-q", "origin", "main");
  const text = `refs/heads/main of origin is at ${head.slice(0, 12)}, the commit of this push`;
  expect(await probe(note, where)).toEqual({ isThere: true, text });
  git(clone, "commit", "-qm", "two", "--allow-empty");
  const local = git(clone, "rev-parse", "HEAD").trim();
  expect(await probe({ ...note, subject: local }, where)).toMatchObject({ isThere: false });
  git(clone, "push", "-q", "origin", "main");
  expect(await probe(note, where)).toMatchObject({ isThere: true, text: expect.stringContaining("which contains") });
  const deletion = { kind: "push", command: "git push origin --delete main" } as const;
  expect(await probe(deletion, where)).toMatchObject({ isThere: false });
  git(clone, "push", "-q", "origin", "main:other");
  expect(await probe({ kind: "push", command: "git push origin main:other" }, where)).toMatchObject({ isThere: true });
  const gone = { kind: "push", command: "git push nowhere main" } as const;
  expect(await probe(gone, where)).toEqual({ isThere: null, text: expect.stringMatching(/^nowhere did not answer: /) });
  expect(await probe({ kind: "deployment", command: "fly deploy" }, where)).toBeNull();
});

/** Notes of a command, and what a probe says where this script stands in for its program, which may ask nothing. */
async function probed(command: string, program: string, script: string): Promise<unknown> {
  const folder = temporaryFolder();
  write(folder, {
    "package.json": '{"name": "app", "version": "1.2.0"}',
    [`bin/${program}`]: `#!/bin/sh\ncat\necho "$* $GIT_TERMINAL_PROMPT$GH_PROMPT_DISABLED" >> args\n${script}\n`,
  });
  chmodSync(`${folder}/bin/${program}`, 0o755);
  const call = { tool_name: "Bash", tool_input: { command } };
  const [note] = noteCall(call, [], { cwd: folder, project: folder }).effects;
  const found = await probe(note!, { env: { PATH: `${folder}/bin:${process.env["PATH"]}` }, project: folder });
  return { ...found, ran: readFileSync(`${folder}/args`, "utf8").trim() };
}

it.each([
  ["npm publish", "npm", "view app@1.2.0 version", "echo 1.2.0", "echo npm error code E404 >&2; exit 1"],
  ["npm publish --tag next", "npm", "view app@1.2.0 version", "echo 1.2.0", "exit 0"],
  ["gh release create v1 --generate-notes", "gh", "release view v1", "echo v1", "echo release not found >&2; exit 1"],
])("the probe of `%s` asks %s %s", async (command, program, asked, there, missing) => {
  expect(await probed(command, program, there)).toMatchObject({ isThere: true, ran: `${asked} 01` });
  expect(await probed(command, program, missing)).toMatchObject({ isThere: false, ran: `${asked} 01` });
  const down = await probed(command, program, "echo no route to host >&2; exit 9");
  expect(down).toMatchObject({ isThere: null, text: `\`${program} ${asked}\` ended with 9: no route to host` });
});

it("a command whose words would have to be quoted, or that deletes, has no check", () => {
  for (const command of ["gh release create 'v1; rm -rf x'", "gh release delete v1"])
    expect(noteCall({ tool_name: "Bash", tool_input: { command } }).effects).toEqual([
      expect.not.objectContaining({ check: expect.anything() as unknown }),
    ]);
});

function decisionOn(claude: Claude, command: string, id = "call-1"): string | undefined {
  const call = { tool_name: "Bash", tool_input: { command }, tool_use_id: id };
  return claude.tell("PreToolUse", call).hookSpecificOutput?.permissionDecision;
}

/** A chat that did these and died, and its successor. */
function recovered(guard: string, work: (first: Claude) => void) {
  const { runtime, claude: first } = aChat({ config: { effects: { guard } } });
  first.start();
  first.prompt("release it");
  work(first);
  first.kill();
  const second = anotherClaude(runtime, first, { session: "second-session" });
  second.start();
  second.prompt("continue");
  return { runtime, second };
}

it("asks before what is known as done is repeated after a recovery, in other words too", () => {
  const { second } = recovered("on", (first) => first.use("Bash", push));
  const call = { tool_name: "Bash", tool_input: { command: "cd . && git push" }, tool_use_id: "c" };
  expect(second.tell("PreToolUse", call).hookSpecificOutput).toEqual({
    hookEventName: "PreToolUse",
    permissionDecision: "ask",
    permissionDecisionReason: expect.stringMatching(
      /^SHIM: done already, 0 s ago, before this chat was recovered: git push origin main \(commit a1a1a1a1a1a1\)\. It cannot be undone\. To find out: `git ls-remote origin main`\.$/,
    ),
  });
});

it.each([
  ["git commit -qam two && git push --force origin main", "main", undefined],
  ["sh -c 'git commit -qam two'; git push --force origin main", "main", undefined],
  ["npm version patch && git push --force origin main", "main", undefined],
  ["git checkout -qb next && git push --force origin main", undefined, undefined],
  ["git add . && git status && git push --force origin main", "main", "a1".repeat(20)],
])("before `%s` has ended, the branch of its push is %s and the commit %s", (command, branch, subject) => {
  const { runtime, second } = recovered("on", (first) => void first.begin("Bash", { command }));
  const [note] = stateOf(runtime, second.session)?.continues?.effects ?? [];
  expect([note?.branch, note?.subject]).toEqual([branch, subject]);
  const committed = "c3".repeat(20);
  write(second.cwd, { ".git/refs/heads/main": `${committed}\n` });
  expect(decisionOn(second, "git push --force origin main")).toBe(subject === undefined ? "ask" : undefined);
  second.use("Bash", { command });
  expect(stateOf(runtime, second.session)?.effects?.at(-1)?.subject).toBe(branch && committed);
});

it("is off by default, and asks of nothing in a chat that continues none", () => {
  expect(decisionOn(recovered("off", (first) => first.use("Bash", push)).second, push.command)).toBeUndefined();
  const { claude } = aChat({ config: { effects: { guard: "on" } } });
  claude.start();
  claude.prompt("push twice");
  claude.use("Bash", push);
  expect(decisionOn(claude, push.command)).toBeUndefined();
});

it.each([
  ["fly deploy", "ask"],
  ["git push --force origin main", "ask"],
  ["git push origin :next", "ask"],
  ["alembic upgrade +1", "ask"],
  ["git push", undefined],
  ["npm publish", undefined],
  ["gh release create v1", undefined],
  ["alembic upgrade head", undefined],
])("where the outcome of `%s` is not known, it gives %s", (command, expected) => {
  const { second } = recovered("on", (first) => void first.begin("Bash", { command }));
  expect(decisionOn(second, command)).toBe(expected);
});

it("does not ask after a failure, a new commit, or of another command, folder or branch", () => {
  const { second } = recovered("on", (first) => {
    first.use("Bash", push);
    first.use("Bash", { command: "fly deploy" });
    first.use("Bash", { command: "vercel deploy" });
    first.fail("Bash", { command: "vercel deploy" }, "Exit code 1");
  });
  const others = ["vercel deploy", "fly deploy -a other", "cd other && fly deploy", "git push origin main:next"];
  for (const command of [...others, "git push --dry-run origin main"])
    expect(decisionOn(second, command), command).toBeUndefined();
  write(second.cwd, { ".git/refs/heads/main": `${"c3".repeat(20)}\n` });
  expect(decisionOn(second, push.command)).toBeUndefined();
});

it("of a chain of deaths the newest effects are known, however many were before", () => {
  const { runtime, second } = recovered("on", (first) => {
    for (let app = 0; app < 30; app++) first.use("Bash", { command: `fly deploy -a app${app}` });
  });
  second.use("Bash", push);
  second.kill();
  const third = anotherClaude(runtime, second, { session: "third-session" });
  third.start();
  third.prompt("continue");
  expect(decisionOn(third, push.command)).toBe("ask");
});

it("asks once for each effect: what the user let run is not asked of again, what did not run is", () => {
  const { second, runtime } = recovered("on", (first) => first.use("Bash", push));
  expect(decisionOn(second, push.command, "no")).toBe("ask");
  expect(decisionOn(second, push.command, "yes")).toBe("ask");
  second.done("yes", "Bash", push);
  expect(decisionOn(second, push.command, "again")).toBeUndefined();
  const effects = stateOf(runtime, second.session)?.effects?.map(
    ({ outcome = "open", asked }) => `${outcome} ${asked}`,
  );
  expect(effects).toEqual(["open true", "done true", "open undefined"]);
});

it("a client that cannot ask refuses, and lets it through after the user's next prompt", () => {
  const { runtime, second } = recovered("on", (first) => first.use("Bash", push));
  let calls = 0;
  const tell = (event: string, fields: object): Printed => {
    runtime.wait(20);
    const input = { ...second.input("PreToolUse"), hook_event_name: event, ...fields };
    const text = answerHook(runtime, event, () => JSON.stringify(input), second.pid, qwen);
    return text === "" ? {} : (JSON.parse(text) as Printed);
  };
  const decision = (): Printed["hookSpecificOutput"] => {
    const call = { tool_name: "run_shell_command", tool_input: push, tool_call_id: `q${(calls += 1)}` };
    return tell("PreToolUse", call).hookSpecificOutput;
  };
  const permissionDecisionReason = expect.stringContaining("Ask the user whether to run it again; after") as string;
  for (let call = 0; call < 2; call++)
    expect(decision()).toMatchObject({ permissionDecision: "deny", permissionDecisionReason });
  expect(stateOf(runtime, second.session)?.effects?.map(({ outcome }) => outcome)).toEqual(["refused", "refused"]);
  tell("UserPromptSubmit", { prompt: "yes, push it again", prompt_id: "p9" });
  expect(decision()).toBeUndefined();
});

const found = (command: string, tool = "Bash"): string[] =>
  findEffects(tool, { command }).map(({ kind, command: text, shows }) => `${kind} ${text}: ${shows ?? "nothing"}`);

it.each([
  ["git push", "push git push: all"],
  ["git add . && git commit -m 'x; y' && git push", "push git push: all"],
  ["npm publish --access public && echo published", "publish npm publish --access public: success"],
  ["set -euo pipefail\nnpm test | tee log\nnpm publish", "publish npm publish: all"],
  ["set -o pipefail; ls | npm publish", "publish npm publish: nothing"],
  ["[ -f x ] || exit 0\ngit push", "push git push: nothing"],
  ["(cd api; git push)", "push git push: all"],
  ["body=$'it\\'s; ' && git push", "push git push: all"],
  ["echo $(((1 + 2) * 3)) && git push", "push git push: all"],
  ["sudo -u me A=b timeout 60 git -C ../api push", "push sudo -u me A=b timeout 60 git -C ../api push: all"],
  ["bash -lc 'git push && ls'", "push git push: success"],
  ["npx --yes wrangler deploy", "deployment npx --yes wrangler deploy: all"],
  ["bundle exec rails db:migrate", "migration bundle exec rails db:migrate: all"],
  ["kubectl -n prod apply -f x.yaml", "deployment kubectl -n prod apply -f x.yaml: all"],
  ["gh pr edit 7 --title x", "message gh pr edit 7 --title x: all"],
  ["gh api -H 'a: b' repos/a/b/labels/x -X DELETE", "deletion gh api -H 'a: b' repos/a/b/labels/x -X DELETE: all"],
  ["gh api graphql -f query='mutation { x }'", "message gh api graphql -f query='mutation { x }': all"],
  ["gh release create v1 --notes 'git push'", "release gh release create v1 --notes 'git push': all"],
])("finds in %j what cannot be undone, and what the exit status shows of it", (command, expected) => {
  expect(found(command)).toEqual([expected]);
});

it.each([
  "echo git push",
  "echo 'git push'",
  "git commit -m 'before git push'",
  'git commit -m "$(cat <<\'EOF\'\nfix: "quoted"; git push && npm publish\n\ngit push\nEOF\n)"',
  "cat > deploy.sh <<EOF\ngit push\nEOF",
  "grep -r 'npm publish' docs",
  "git stash push -m x",
  "git push --dry-run",
  "npm publish --dry-run",
  "kubectl apply -f x --dry-run=client",
  "# git push",
  "npm run build",
  "git push --help",
  "commands=(git push)",
  "gh api repos/a/b/pulls/7/comments --paginate",
  "gh api graphql -f owner=a -f query='query($owner: String!) { x }'",
  "npx wrangler d1 execute db --local --command 'DELETE FROM x'",
  "alembic upgrade head --sql",
])("does not find in %j a mention or a trial run", (command) => {
  expect(found(command)).toEqual([]);
});

it("reads a text of any form in linear time and without an end", () => {
  for (const part of ["$(", "`", '"', "'", "(", "<<A\n", "if ", "{ ", "\\", "bash -c '", "git push;", "<("])
    expect(() => found(part.repeat(20_000))).not.toThrow();
});

it("finds calls of MCP tools, of clients that name them in their way, but not SHIM's own", () => {
  const names = ["mcp__mail__send_email", "github-create_pull_request", "supabase_apply_migration"];
  const kinds = names.flatMap((name) => findEffects(name, { to: "a" }).map(({ kind }) => kind));
  expect(kinds).toEqual(["message", "message", "migration"]);
  // To another agent of the client.
  for (const name of ["send_message", "collaboration__send_message", "mcp__shim__shim_send", "mcp__mail__list_emails"])
    expect(findEffects(name, { to: "a" })).toEqual([]);
});

it("finds the commands that the user added", () => {
  const own = [{ words: "make ship|send", kind: "deployment", unless: "test", check: "curl {1}" }] as const;
  const script = [{ words: "deploy.sh *", kind: "deployment" }] as const;
  for (const command of ["./deploy.sh prod", "bash -e ops/deploy.sh prod", "sudo sh deploy.sh prod"])
    expect(findEffects("Bash", { command }, script)).toMatchObject([{ command, shows: "all" }]);
  expect(findEffects("Bash", { command: "cat deploy.sh" }, script)).toEqual([]);
  const [effect] = findEffects("Bash", { command: "make -j2 ship eu" }, own);
  expect(effect).toMatchObject({ kind: "deployment", command: "make -j2 ship eu", check: "curl eu" });
  expect(findEffects("Bash", { command: "make ship test" }, own)).toEqual([]);
});

it("reads a text again for another folder, another shell and other commands of the user", () => {
  const call = { tool_name: "Bash", tool_input: { command: "rm a; ship b" }, cwd: "/one" };
  const removedIn = (cwd: string): readonly string[] => deedsOf({ ...call, cwd }).removed;
  expect([removedIn("/one"), removedIn("/two"), removedIn("/one")]).toEqual([["/one/a"], ["/two/a"], ["/one/a"]]);
  const own = [{ words: "ship *", kind: "deployment" }] as const;
  const count = (commands?: readonly EffectCommand[]): number => deedsOf(call, commands).effects.length;
  expect([count(), count(own), count()]).toEqual([0, 1, 0]);
  const path = { tool_input: { command: "rm C:\\a" }, cwd: "/one" };
  expect(["Bash", "PowerShell"].map((tool_name) => deedsOf({ tool_name, ...path }).removed)).toEqual([
    ["/one/C:a"],
    ["/one/C:/a"],
  ]);
});

/** Scripts around pushes, each of which is named by its number and ends well or not. */
function scripts(): fc.Arbitrary<string> {
  const push = fc.constantFrom("git push good", "git push bad");
  const simple = fc.oneof(
    { weight: 4, arbitrary: push },
    fc.constantFrom("true", "false", "echo git push x", "echo 'a; git push y'", "# git push z\ntrue", "X=1 true"),
    fc.constantFrom("cd .", "exit 0", "exit 3", "set -e", "set -eo pipefail", "set +e", "cat <<A\ngit push w\nA\ntrue"),
  );
  const operator = fc.constantFrom(" && ", " || ", "; ", "\n", " | ", " & ", " &&\n", " 2>&1 | ", " > /dev/null; ");
  const { script } = fc.letrec<{ script: string; part: string }>((tie) => ({
    part: fc.oneof(
      { maxDepth: 2, withCrossShrink: true },
      { weight: 20, arbitrary: simple },
      tie("script").map((text) => `( ${text}\n)`),
      tie("script").map((text) => `{ ${text}\n}`),
      tie("script").map((text) => `if ${text}\nthen true; else git push good; fi`),
      tie("script").map((text) => `echo "$(${text}\n)"`),
      tie("script").map((text) => `for i in 1; do ${text}\ndone`),
      tie("script").map((text) => `case a in\n(b) true;;\n(a) ${text}\n;; esac`),
      fc.tuple(tie("script"), fc.nat()).map(([text, n]) => `f${n}() {\n${text}\n}; f${n}`),
      tie("script").map((text) => (/[`$\\]/.test(text) ? text : `x=\`${text}\n\``)),
      tie("script").map((text) => (text.includes("'") ? text : `bash -c '${text}'`)),
      simple.map((text) => `! ${text}`),
      simple.map((text) => `env A=b ${text}`),
    ),
    script: fc
      .tuple(tie("part"), fc.array(fc.tuple(operator, tie("part")), { maxLength: 4 }))
      .map(([first, others]) => first + others.flat().join("")),
  }));
  return script;
}

it("what bash does with any script: each push that ran was found, and no end shows what is not so", () => {
  const folder = temporaryFolder();
  write(folder, { "bin/git": `#!/bin/sh\n[ "$1" = push ] || exit 0\necho "$3 $2" >> "$LOG"\n[ "$2" = good ]\n` });
  chmodSync(`${folder}/bin/git`, 0o755);
  const env = { PATH: `${folder}/bin:${process.env["PATH"]}` };
  let [shown, runs] = [0, 0];
  const property = fc.property(scripts(), (text) => {
    let count = 0;
    const script = text.replaceAll(/git push (good|bad)/g, (given) => `${given} n${(count += 1)}`);
    // A command in the background may write later.
    const log = `${folder}/log-${(runs += 1)}`;
    const { status } = spawnSync("bash", ["-c", script], { cwd: folder, env: { ...env, LOG: log }, stdio: "ignore" });
    const ran = existsSync(log) ? readFileSync(log, "utf8").split("\n").filter(Boolean) : [];
    const found = findEffects("Bash", { command: script });
    const names = found.map(({ words }) => words.at(-1));
    expect(names).toEqual(expect.arrayContaining(ran.map((line) => line.split(" ")[0])));
    for (const { shows, words } of found) {
      const isDone = ran.includes(`${words.at(-1)} good`);
      if (shows !== null && shows !== "failure" && status === 0) expect([script, isDone]).toEqual([script, true]);
      if (shows === "all" && status !== 0) expect([script, isDone]).toEqual([script, false]);
      if (shows !== null) shown += 1;
    }
  });
  fc.assert(property, { numRuns: 60, seed: 1 });
  expect(shown).toBeGreaterThan(10);
});

it.each([0, 0.7, 1])(
  "with the guard on nothing is repeated in 1,000 kills, and it asks without need before fewer than 2 % of the calls; commands that outlive a kill: %d",
  (outlives) => {
    const { kills, repeated, asked, needless, calls } = killFigures({ guard: "on", outlives }, 1_000, 1);
    expect({ kills, repeated }).toEqual({ kills: 1_000, repeated: 0 });
    expect(asked).toBeGreaterThan(100);
    expect(needless / calls).toBeLessThan(0.02);
  },
);
