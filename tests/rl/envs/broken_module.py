raise ValueError("this module does not load")
