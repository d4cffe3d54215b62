throw new TypeError("broken while loading");
