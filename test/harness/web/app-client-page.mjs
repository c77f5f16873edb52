// The browser's half of an MCP client that shows apps: what its user would see is in the frame.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

/** @returns the bridge, once the app has said that it is ready */
globalThis.showApp = async ({ html, hostContext, capabilities }) => {
  const frame = document.createElement("iframe");
  frame.title = "App";
  frame.sandbox = "allow-scripts";
  frame.srcdoc = html;
  document.querySelector("main").append(frame);
  const bridge = new AppBridge(null, { name: "test-client", version: "1" }, capabilities, { hostContext });
  bridge.oncalltool = (params) => globalThis.callTool(params);
  bridge.onsizechange = ({ height }) => (frame.style.height = `${height}px`);
  const ready = new Promise((resolve) => (bridge.oninitialized = resolve));
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  await ready;
  globalThis.bridge = bridge;
};
