import type { ServerResponse } from "node:http";
import * as z from "zod";
import { findOperation } from "../../contract/machine/find-operation.ts";
import type { MachineInput, MachineOperationName } from "../../contract/machine/operations.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { toSentError, type AnswerLine } from "../../machine/context/operation-wire.ts";
import { statedProcess } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { Result } from "../../shared/result.ts";
import type { MachineWork } from "./machine-work.ts";
import { OperationRunner } from "./operation-runner.ts";
import { hostContext } from "./system-site.ts";

const Asked = z.object({
  input: z.unknown(),
  env: z.record(z.string(), z.string()),
  by: z.union([z.enum(["command line", "live page"]), z.templateLiteral(["phone ", z.string().max(100)])]),
  caller: z.string().optional(),
});

interface Doing {
  readonly runtime: Runtime;
  readonly machine: Pick<MachineWork, "syncNow" | "atLongWork" | "refreshPhones" | "phoneDoor">;
}

/** Does an operation as its caller would, and answers with its lines. */
export async function doOperation(doing: Doing, name: string, body: string, response: ServerResponse): Promise<void> {
  const operation = await findOperation(name);
  if (operation === null) return void response.writeHead(404).end();
  const { input, env, by, caller: stated } = Asked.parse(parseJson(body));
  const runtime = { ...doing.runtime, env };
  const send = (line: AnswerLine): void => void response.write(`${JSON.stringify(line)}\n`);
  const context: OperationContext = {
    ...hostContext(runtime),
    onPhonesChanged: () => doing.machine.refreshPhones(),
    ownRelay: () => doing.machine.phoneDoor(),
    syncNow: ({ url, workspace }) => doing.machine.syncNow({ url, workspace }),
    by,
    ...omitUndefined({ caller: statedProcess(runtime.processes, stated ?? "")?.pid }),
    progress: (text) => send({ progress: text }),
    onSecretsRemoved: (count) => send({ secretsRemoved: count }),
  };
  const host = new OperationRunner(context);
  try {
    const call = (): Promise<Result<unknown>> =>
      host.call(name as MachineOperationName, input as MachineInput<MachineOperationName>);
    send({ result: await (operation.isLong ? doing.machine.atLongWork(call) : call()) });
  } catch (error) {
    runtime.log("error", `${name} failed`, { error: stackOf(error) });
    send({ error: toSentError(error) });
  } finally {
    await host.close();
    response.end();
  }
}
