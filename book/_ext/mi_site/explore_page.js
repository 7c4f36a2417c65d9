// Puts a button under each still that has a chart. Chart and Plotly are asked for by the press, Plotly once for all charts.
import { attach } from "./explore.js";

let asked = null;
const plotly = () => {
  asked ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", import.meta.url);
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = () => { asked = null; reject(new Error("Plotly could not be loaded")); };
    document.head.append(script);
  });
  return asked;
};

const chart = async (address) => {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
};

for (const box of document.querySelectorAll(".mi-explore[data-explore]")) {
  attach(box, { plotly, chart: () => chart(new URL(box.dataset.explore, document.baseURI)) });
}
