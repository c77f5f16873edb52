import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  inputRequired,
  inputResponse,
  type InputRequests,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { described, said, text } from "./contents.ts";

/** What a call has found out so far. It goes through the client, so it is signed. */
const State = z.object({ round: z.number(), name: z.string().optional() });
type State = z.infer<typeof State>;
const states = createRequestStateCodec<State>({ key: "a key of the tests, longer than 32 bytes" });
export const verifyState: typeof states.verify = (state, context) => states.verify(state, context);

const Name = z.object({ name: z.string() });
const Color = z.object({ color: z.string() });
const Confirmation = z.object({ ok: z.boolean() });
const Context = z.object({ context: z.string() });

const askName = inputRequired.elicit({ message: "What is your name?", requestedSchema: Name });
const askConfirmation = inputRequired.elicit({ message: "Please confirm", requestedSchema: Confirmation });

const sample = (prompt: string) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: text(prompt) }], maxTokens: 100 });

/** Since 2026 a tool asks its client by an answer that wants another call, with the replies in it. */
export function registerRounds(server: McpServer): void {
  const tool = (name: string, run: (context: ServerContext) => Promise<Answer> | Answer): void =>
    void server.registerTool(`test_input_required_result_${name}`, described, run);
  tool("elicitation", ({ mcpReq }) => {
    const given = acceptedContent(mcpReq.inputResponses, "user_name", Name);
    return given ? said(`Hello, ${given.name}!`) : inputRequired({ inputRequests: { user_name: askName } });
  });
  tool("sampling", ({ mcpReq }) => {
    const given = inputResponse(mcpReq.inputResponses, "capital");
    if (given.kind === "sampling") return said(JSON.stringify(given.result.content));
    return inputRequired({ inputRequests: { capital: sample("What is the capital of France?") } });
  });
  tool("list_roots", ({ mcpReq }) => {
    const given = inputResponse(mcpReq.inputResponses, "roots");
    if (given.kind === "roots") return said(`Found ${given.roots.length} roots`);
    return inputRequired({ inputRequests: { roots: inputRequired.listRoots() } });
  });
  for (const name of ["request_state", "tampered_state"]) tool(name, confirmed);
  tool("multiple_inputs", several);
  tool("multi_round", twoRounds);
  tool("capabilities", whatTheClientCan);
  server.registerPrompt("test_input_required_result_prompt", described, ({ mcpReq }) => {
    const given = acceptedContent(mcpReq.inputResponses, "user_context", Context);
    if (given) return { messages: [{ role: "user", content: text(given.context) }] };
    const ask = inputRequired.elicit({ message: "In which context?", requestedSchema: Context });
    return inputRequired({ inputRequests: { user_context: ask } });
  });
}

type Answer = ReturnType<typeof inputRequired> | ReturnType<typeof said>;

async function again(inputRequests: InputRequests, state: State): Promise<Answer> {
  return inputRequired({ inputRequests, requestState: await states.mint(state) });
}

function confirmed({ mcpReq }: ServerContext): Promise<Answer> | Answer {
  const isConfirmed = acceptedContent(mcpReq.inputResponses, "confirm", Confirmation)?.ok === true;
  if (isConfirmed && mcpReq.requestState<State>()) return said("state-ok");
  return again({ confirm: askConfirmation }, { round: 1 });
}

function several({ mcpReq }: ServerContext): Promise<Answer> | Answer {
  const name = acceptedContent(mcpReq.inputResponses, "user_name", Name);
  const greeting = inputResponse(mcpReq.inputResponses, "greeting");
  const roots = inputResponse(mcpReq.inputResponses, "roots");
  if (name && greeting.kind === "sampling" && roots.kind === "roots") return said(`All there, ${name.name}`);
  const asked = { user_name: askName, greeting: sample("Greet somebody"), roots: inputRequired.listRoots() };
  return again(asked, { round: 1 });
}

function twoRounds({ mcpReq }: ServerContext): Promise<Answer> | Answer {
  const state = mcpReq.requestState<State>();
  const name = acceptedContent(mcpReq.inputResponses, "step1", Name)?.name;
  if (state?.round === 1 && name !== undefined) {
    const ask = inputRequired.elicit({ message: "Which color?", requestedSchema: Color });
    return again({ step2: ask }, { round: 2, name });
  }
  const color = acceptedContent(mcpReq.inputResponses, "step2", Color)?.color;
  if (state?.round === 2 && color !== undefined) return said(`${state.name} likes ${color}`);
  return again({ step1: askName }, { round: 1 });
}

const Capabilities = z.object({
  [CLIENT_CAPABILITIES_META_KEY]: z.object({
    elicitation: z.looseObject({}).optional(),
    sampling: z.looseObject({}).optional(),
  }),
});

function whatTheClientCan({ mcpReq }: ServerContext): Promise<Answer> | Answer {
  const can = Capabilities.parse(mcpReq.envelope)[CLIENT_CAPABILITIES_META_KEY];
  const asked = {
    ...(can?.elicitation ? { user_name: askName } : {}),
    ...(can?.sampling ? { greeting: sample("Greet somebody") } : {}),
  };
  const isAnswered = Object.keys(mcpReq.inputResponses ?? {}).length > 0;
  return isAnswered || Object.keys(asked).length === 0 ? said("Nothing to ask") : again(asked, { round: 1 });
}
