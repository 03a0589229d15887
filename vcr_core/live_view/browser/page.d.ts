// What a page brings that TypeScript does not know of itself.

declare module "*.css" {
  const text: string;
  export default text;
}

interface Window {
  Plotly?: any;
  vcrLabCode?: Map<string, any>;
}
