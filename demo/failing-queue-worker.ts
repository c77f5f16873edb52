/** The real worker, whose consumer of the queue throws for as many batches as it is told. */
import type { Env } from "../src/worker/env.ts";
import worker from "../src/worker/worker-entry.ts";

export { ChatCoordinator, HandoverBox, PhoneBox, RestoreMarks } from "../src/worker/worker-entry.ts";

/** In memory: a new runtime throws nothing. */
const batches = { toFail: 0, failed: 0 };

/** Answers the deployment's admin how many batches have failed; a POST says how many more are to. */
async function told(request: Request, { SHIM_ADMIN_SECRET }: Env): Promise<Response> {
  if (request.headers.get("authorization") !== `Bearer ${SHIM_ADMIN_SECRET}`)
    return new Response(null, { status: 401 });
  if (request.method === "POST") batches.toFail = Number(await request.text());
  return Response.json(batches);
}

export default {
  fetch(request, env, ctx): Response | Promise<Response> {
    return new URL(request.url).pathname === "/failing-batches" ? told(request, env) : worker.fetch(request, env, ctx);
  },
  async queue(batch, env): Promise<void> {
    if (batches.toFail === 0) return worker.queue(batch, env);
    batches.toFail -= 1;
    batches.failed += 1;
    throw new Error("this consumer is set to fail");
  },
} satisfies ExportedHandler<Env>;
