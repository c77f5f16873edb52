import type { MiddlewareHandler } from "hono";
import { errorResponse } from "./error-response.ts";
import type { AppBindings } from "./callers.ts";

const loopback = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/**
 * [WO13] A page of another site can let its own name point to this machine (DNS rebinding) and is then of the same origin as the local
 * runtime. The browser still sends that name as Host, so any other than a name of the loopback interface is refused before routing. The
 * header is read, not the URL: the local runtime lets a client choose the URL.
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
