"""Heat's resource types, one class each, registered in ``registry``."""
