import type { MiddlewareHandler } from "hono";
import { errorResponse } from "./error-response.ts";
import type { AppBindings } from "./callers.ts";

const loopback = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/**
 * [WO13] Against DNS rebinding: the browser sends the rebound name as Host. Reads the header, not
 * the URL, which a client of the local runtime can choose.
 */
export const onlyLoopbackHosts: MiddlewareHandler<AppBindings> = async (context, next) => {
  if (context.env.SHIM_LOCAL !== undefined && !loopback.test(context.req.header("host") ?? "")) {
    return errorResponse({
      code: "forbidden",
      message: "use http://127.0.0.1 or http://localhost: no other Host is served here",
    });
  }
  return next();
};
