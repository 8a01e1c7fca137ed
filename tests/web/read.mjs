// Reads images with an ONNX file, by the runtime that is named; prints the best class of each frame.
import { readFileSync } from "node:fs";

const [runtime, model, file] = process.argv.slice(2);
const ort = await import(runtime);
const session = await ort.InferenceSession.create(model);
const found = [];
for (const { pixels, dims } of JSON.parse(readFileSync(file, "utf8"))) {
  const image = new ort.Tensor("uint8", Uint8Array.from(pixels), dims);
  const { best } = await session.run({ image });
  found.push(Array.from(best.data));
}
console.log(JSON.stringify(found));
