/** `shim mcp`: stdout carries only the protocol. */
import { loadDriver } from "../../store/open-driver.ts";
import { serveSystem } from "./serve-system.ts";
import { messageOf } from "../../shared/error.ts";

void loadDriver()
  .then((driver) => serveSystem(driver, false))
  .catch((error: unknown) => {
    process.stderr.write(`shim mcp: ${messageOf(error)}\n`);
    process.exitCode = 1;
  });
