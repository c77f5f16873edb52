import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { transcriptPath } from "#harness/claude/claude-code.ts";
import { bash, call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import { Deployment, poisonCommand, refusingPoison, shellWork, undoesTheTurn } from "#harness/clients/chat-rig.ts";
import { written } from "#harness/clients/chat-rig.ts";
import { runShim } from "#harness/clients/real-clients.ts";

const instructions = {
  resume: "The user wants to continue an earlier chat that SHIM has saved.",
  "save the lexer comes next": 'What the user wants noted: "the lexer comes next"',
  who: "The user asks which chats SHIM knows. Change nothing.",
  effects: "it asks the git remotes and the npm registry",
  "fork fix the parser, in codex": '"fix the parser, in codex"',
  rescue: "An earlier chat of the user cannot be continued any more",
  dismiss: "Say in one sentence which chat is not offered any more.",
};

it("each slash command of the plugin instructs the model, with the user's words", async () => {
  const rig = new ClaudeRig();
  const chat = await rig.terminal({ steps: () => ({ text: "Done." }) });
  for (const [at, [command, text]] of Object.entries(instructions).entries()) {
    await chat.process.send(`/shim:${command}`);
    await rig.turns((await rig.begun()).id, at + 1);
    expect(received(chat.model, -1)).toContain(text);
  }
});

it("the edits and commands of a real turn are taken back, and that is taken back; /shim:undo shows the user what would change, and the plugin's program takes them back", async () => {
  const rig = new ClaudeRig();
  const path = { file_path: rig.path("one.ts") };
  const edits = [call("Read", path), call("Write", { ...path, content: written }), bash(shellWork)];
  const chat = await rig.typed("Rewrite the files", { steps: [...edits, { text: "Done." }, ...undoSteps()] });
  await rig.last(chat.id, "turn_end");
  undoesTheTurn(rig);
  await chat.process.send("/shim:undo");
  await rig.turns(chat.id, 2);
  const asked = chat.model.requests.findIndex((_, at) =>
    received(chat.model, at).includes("before a turn of this chat"),
  );
  expect(asked).toBeGreaterThan(0);
  expect(received(chat.model, -1)).toContain("made/new.ts");
  expect(readFileSync(rig.path("one.ts"), "utf8")).toBe("export {};\n");
});

function undoSteps() {
  const program = `node "${join(import.meta.dirname, "..", "..", "plugin", "launch.mjs")}" undo`;
  return [bash(`${program} --diff --json`), bash(`${program} --yes --json`), { text: "It is as before." }];
}

it("Claude Code continues the copy of a session that its API refuses with each prompt", async () => {
  const { rig, id, shim } = await aPoisonedSession();
  const path = transcriptPath(rig.home, rig.project, id);
  const before = readFileSync(path);
  const { reason, why, done } = shim("rescue", id, "--yes", "--json");
  expect(reason).toBe("poisoned");
  expect(why).toContain("in the same way (400 invalid_request_error");
  const accepted: string[] = [];
  await rig.printed("go on", { steps: refusingPoison(null, accepted), args: ["--resume", done.copy.session] });
  const request = accepted.find((text) => text.includes("go on"));
  expect(request).toContain("the word is pear");
  expect(request).not.toContain("try the blue one");
  expect(readFileSync(path)).toEqual(before);
  expect(shim("rescue", done.copy.session, "--json")).toMatchObject({ reason: null });
});

/** A session whose last two prompts the API has refused, since a result of a call is in its way. */
async function aPoisonedSession() {
  const rig = new ClaudeRig();
  const { model } = await rig.printed("the word is pear", { steps: refusingPoison(null) });
  const { id } = await rig.begun();
  const call = { name: "Bash", input: { command: poisonCommand } };
  for (const prompt of ["press the red button", "try the blue one"]) {
    const steps = refusingPoison(prompt === "press the red button" ? call : null);
    await rig.over(await rig.print(prompt, { steps, args: ["--resume", id] }));
  }
  const shim = (...args: string[]) => JSON.parse(runShim(args, { cwd: rig.project, env: rig.envOf(model) }));
  return { rig, id, shim };
}

it("in `claude -p` a done effect is not repeated after a kill, and the model reads why", async () => {
  const rig = new ClaudeRig();
  const deployment = new Deployment(rig);
  const deploy = bash(deployment.command);
  await rig.killed("deploy it", { steps: [deploy] });
  expect(deployment.runs).toBe(1);
  const { model } = await rig.printed("continue", { steps: [deploy, { text: "It is done already." }] });
  expect(deployment.runs).toBe(1);
  expect(received(model, -1)).toContain("SHIM: done already");
});
