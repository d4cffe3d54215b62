// A module that is never loaded.
await new Promise((resolve) => setTimeout(resolve, 1e6));
export default (): void => {};
