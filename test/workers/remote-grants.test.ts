import * as fc from "fast-check";
import { expect } from "vitest";
import { scopes, type Scope } from "#src/contract/workspaces.ts";
import { narrowest } from "#src/worker/oauth-server.ts";
import { HandmadeClient, signIn, type Tokens } from "./oauth-client.ts";
import { mcpHeaders, ping } from "./remote-client.ts";
import { bearer, it, request } from "./support.ts";

async function toolsOf(access: string): Promise<string[]> {
  const answer = await request("/mcp", {
    method: "POST",
    headers: { ...mcpHeaders, ...bearer(access) },
    body: JSON.stringify({ ...ping, method: "tools/list" }),
  });
  const [, json = ""] = /^data: (.*)$/m.exec(await answer.text()) ?? [];
  const { result } = JSON.parse(json) as { result: { tools: { name: string }[] } };
  return result.tools.map(({ name }) => name);
}

async function callStatus(access: string): Promise<number> {
  const init = { method: "POST", headers: { ...mcpHeaders, ...bearer(access) }, body: JSON.stringify(ping) };
  return (await request("/mcp", init)).status;
}

const rank = (scope: string): number => scopes.findIndex((one) => one === scope);

const separator = fc.constantFrom(" ", "  ", "\t", "\n", "+", ",", "\u00A0", "\u2003", "\u3000", "\u200B", "\0");
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...scopes) },
  fc.constantFrom("", " ", "ADMIN", "Work", "offline_access", "*", "null", "__proto__", "constructor", "0", "-1"),
  fc.string({ maxLength: 8 }),
);
const scopeText = fc
  .array(fc.tuple(word, separator), { maxLength: 6 })
  .map((parts) => parts.map(([name, between]) => name + between).join(""));

it("a scope that is named never passes the ceiling, and naming none is none", () => {
  const ceiling = fc.constantFrom(...scopes);
  fc.assert(
    fc.property(fc.array(word), ceiling, (named, most) => {
      const found = narrowest(named, most);
      const known = named.filter((one) => rank(one) >= 0);
      expect(found === null).toBe(known.length === 0);
      if (found !== null) expect(rank(found)).toBe(Math.min(rank(most), Math.max(...known.map(rank))));
    }),
  );
  expect(narrowest(["admin"], "none" as Scope)).toBeNull();
});

it("no scope of an exchange or a refresh raises what was consented to, and a lower one may be had for a while", async ({
  workspace,
}) => {
  const toolsBy = new Map<Scope, string[]>();
  for (const scope of scopes) toolsBy.set(scope, await toolsOf((await workspace.tokenOf(scope)).token));
  for (const [permitted, asked, granted] of [
    ["admin", "observe", "observe"],
    ["work", "submit", "submit"],
    ["submit", "admin", "submit"],
    ["work", null, "work"],
  ] as const) {
    const { token } = await workspace.tokenOf(permitted);
    const client = new HandmadeClient();
    const code = await client.consent(token, asked);
    await fc.assert(
      fc.asyncProperty(fc.oneof(scopeText, fc.constantFrom(" ", "   ", "", "admin work")), async (scope) => {
        const tokens = await client.ask(code, scope);
        if (!tokens) return;
        expect([scope, rank(tokens.scope) <= rank(granted), rank(tokens.scope) >= 0]).toEqual([scope, true, true]);
        expect(await toolsOf(tokens.access_token)).toEqual(toolsBy.get(tokens.scope as Scope));
        if (scope.replaceAll(" ", "") === "") expect(tokens.scope).toBe(granted);
      }),
      { numRuns: 25 },
    );
    expect((await client.ask(code, "observe"))?.scope).toBe("observe");
    expect((await client.ask(code, " "))?.scope).toBe(granted);
  }
});

it("of twelve exchanges of one code at once one succeeds", async ({ workspace }) => {
  for (let round = 0; round < 5; round++) {
    const client = new HandmadeClient();
    const code = await client.consent(workspace.token, "observe");
    const answers = await Promise.all(Array.from({ length: 12 }, () => client.exchange(code)));
    const bodies = await Promise.all(answers.map((one) => one.json<Partial<Tokens> & { error?: string }>()));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200,
      ...Array<number>(11).fill(400),
    ]);
    const errors = bodies.flatMap(({ error }) => error ?? []);
    expect(new Set(errors)).toEqual(new Set(["invalid_grant"]));
    expect((await client.exchange(code)).status).toBe(400);
  }
});

it("a code that is used again ends what it was exchanged for", async ({ workspace }) => {
  const client = new HandmadeClient();
  const code = await client.consent(workspace.token, "observe");
  const tokens = await (await client.exchange(code)).json<Tokens>();
  expect(await callStatus(tokens.access_token)).toBe(200);
  expect((await client.exchange(code)).status).toBe(400);
  expect(await callStatus(tokens.access_token)).toBe(401);
  expect((await client.refresh(tokens.refresh_token)).status).toBe(400);
});

async function refreshed(client: HandmadeClient, token: string): Promise<Tokens> {
  const answer = await client.refresh(token);
  expect(answer.status).toBe(200);
  return answer.json<Tokens>();
}

it("a refresh token that was replaced ends its grant when it is used again, with every token of it", async ({
  workspace,
}) => {
  const client = new HandmadeClient();
  const code = await client.consent(workspace.token, "observe");
  const first = await (await client.exchange(code)).json<Tokens>();
  const second = await refreshed(client, first.refresh_token);
  // An answer that was lost may be asked for again, until the new token is used.
  const third = await refreshed(client, first.refresh_token);
  const fourth = await refreshed(client, third.refresh_token);
  const old = await client.refresh(first.refresh_token);
  expect([old.status, await old.json()]).toMatchObject([400, { error: "invalid_grant" }]);
  for (const { refresh_token: token } of [second, third, fourth])
    expect((await client.refresh(token)).status).toBe(400);
  for (const { access_token: token } of [first, second, third, fourth]) expect(await callStatus(token)).toBe(401);
});

it("another grant of the same token lives on, and so does one whose refresh asked for an unknown scope", async ({
  workspace,
}) => {
  const one = await signIn(workspace.token);
  const client = new HandmadeClient();
  const first = await (await client.exchange(await client.consent(workspace.token, null))).json<Tokens>();
  expect((await client.refresh(first.refresh_token, { scope: "nothing" })).status).toBe(400);
  const second = await refreshed(client, first.refresh_token);
  for (const wrong of ["", "a:b:c", "::", `${second.refresh_token.split(":")[0]}::`])
    expect((await client.refresh(wrong)).status).toBe(400);
  expect(await callStatus(second.access_token)).toBe(200);
  await refreshed(client, second.refresh_token);
  await client.refresh(first.refresh_token);
  expect(await callStatus(one.access)).toBe(200);
});
