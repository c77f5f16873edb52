import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { CLAUDE_VERSION, OLDER_CLAUDE_VERSION, claudeBinary, otherClaudeBinary } from "../../scripts/install-claude.ts";
import { bash, ClaudeRig } from "#harness/claude/claude-rig.ts";
import { initialise } from "#harness/claude/set-up.ts";

const clients = [
  [CLAUDE_VERSION, claudeBinary()],
  [OLDER_CLAUDE_VERSION, otherClaudeBinary(OLDER_CLAUDE_VERSION)],
] as const;
const ways = ["the plugin", "init", "init and the plugin", "processes alone"] as const;
const cases = clients.flatMap(([version, binary]) => ways.map((way) => ({ version, binary, way })));

it.each(cases)(
  "with $way Claude Code $version reports a prompt, a tool call and its ends once each @night",
  async ({ binary, way }) => {
    if (binary === null) throw new Error("not installed: node scripts/install-claude.ts");
    const rig = new ClaudeRig();
    const mcpServers = way === "the plugin" ? {} : initialise(rig, way === "processes alone" ? null : binary);
    const hooks = way === "the plugin" ? "" : readFileSync(join(rig.home, ".claude", "settings.json"), "utf8");
    expect(hooks.includes("mcp_tool")).toBe(way.startsWith("init"));
    const hasPlugin = way.endsWith("plugin");
    await rig.printed("fix it", { steps: [bash("echo fixed"), { text: "Fixed." }], binary, mcpServers, hasPlugin });
    const [session, ...others] = rig.sessions();
    expect([others, session?.toolCalls, session?.endReason]).toEqual([[], 1, "other"]);
    const kinds = ["assistant", "end", "prompt", "start", "tool_end", "tool_start", "turn_end"];
    expect(rig.kinds(session!.id).toSorted()).toEqual(kinds);
  },
);
